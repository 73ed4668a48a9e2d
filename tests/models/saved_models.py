"""Models of every kind of layer, optimizer and loss that files can hold."""

from gatewise import (
    initializers,
    layers,
    optimizers,
    regularizers,
    schedules,
)
from gatewise.cells import FullGateLSTMCell
from gatewise.layers import (
    ELU,
    GRU,
    GRUD,
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Cropping1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    LeakyReLU,
    Masking,
    MinGRU,
    MinLSTM,
    MultiHeadAttention,
    Permute,
    PReLU,
    ReLU,
    RepeatVector,
    Reshape,
    SimpleRNN,
    Softmax,
    SpatialDropout1D,
    TimeDistributed,
    UpSampling1D,
    ZeroPadding1D,
)
from gatewise.models import Sequential

REGULARIZED = {
    "kernel_regularizer": regularizers.L1L2(0.01, 0.02),
    "recurrent_regularizer": "l1",
    "bias_regularizer": regularizers.L2(0.5),
}

STACKS = {
    "lstm": lambda: [LSTM(5, input_shape=(6, 2)), Dense(1)],
    "lstm, every option": lambda: [
        LSTM(
            5,
            activation="softsign",
            recurrent_activation="hard_sigmoid",
            unit_forget_bias=False,
            dropout=0.25,
            recurrent_dropout=0.5,
            return_sequences=True,
            go_backwards=True,
            seed=3,
            name="a b/c ü",
            **REGULARIZED,
            kernel_initializer=initializers.RandomUniform(-0.3, 0.4, seed=9),
            recurrent_initializer="glorot_normal",
            bias_initializer=initializers.Constant(0.125),
            input_shape=(None, 2),
        ),
        LSTM(3, use_bias=False),
        Dense(2, "softmax", use_bias=False, kernel_regularizer="l2"),
    ],
    "gru, every option": lambda: [
        GRU(
            4,
            activation="relu",
            recurrent_activation="linear",
            reset_after=False,
            update="chung",
            return_sequences=True,
            kernel_initializer="he_uniform",
            recurrent_initializer=initializers.Orthogonal(0.5),
            **REGULARIZED,
            input_shape=(6, 2),
        ),
        GRU(3, use_bias=False, dropout=0.1, stateful=True),
        Dense(2, "elu", bias_initializer="ones"),
    ],
    "rnn": lambda: [
        Input((6, 2)),
        SimpleRNN(4, "relu", recurrent_initializer="identity", return_sequences=True),
        Activation("tanh"),
        Dropout(0.5, noise_shape=(None, 1, 4), seed=1),
        Flatten(),
        Dense(3),
    ],
    "encoder and decoder": lambda: [
        LSTM(5, input_shape=(6, 2)),
        RepeatVector(3),
        GRU(4, return_sequences=True),
        Dense(2),
    ],
    "both ways": lambda: [
        Bidirectional(
            LSTM(3, return_sequences=True, kernel_regularizer="l2", dropout=0.2),
            "mul",
            name="a b/c",
        ),
        SpatialDropout1D(0.25),
        TimeDistributed(Dense(3, "tanh")),
        GlobalMaxPooling1D(),
        Dense(1),
    ],
    "words": lambda: [
        Embedding(8, 4, "glorot_normal", "l1", input_length=6),
        Bidirectional(
            GRU(3, stateful=True, return_sequences=True),
            backward_layer=SimpleRNN(2, go_backwards=True, stateful=True, return_sequences=True),
        ),
        GlobalAveragePooling1D(),
        Dense(1),
    ],
    "other shapes": lambda: [
        Input((6, 2)),
        ZeroPadding1D((1, 2)),
        GaussianNoise(0.1, seed=1),
        Cropping1D((2, 1)),
        UpSampling1D(2),
        Reshape((-1, 1, 2)),
        Permute((1, 3, 2)),
        TimeDistributed(Flatten()),
        MultiHeadAttention(2, 3, dropout=0.1, use_causal_mask=True),
        LSTM(3, return_sequences=True),
        ReLU(2.0, 0.1, 0.05),
        LeakyReLU(0.1),
        PReLU("normal", "l2", "non_neg", [1]),
        ELU(0.5),
        GaussianDropout(0.1),
        GRU(3),
        Softmax(),
    ],
    "masked": lambda: [Masking(0.5), LSTM(3, return_sequences=True), GRU(2)],
    "cells in NumPy": lambda: [
        RNN(
            FullGateLSTMCell(3),
            return_sequences=True,
            go_backwards=True,
            seed=2,
            input_shape=(6, 2),
        ),
        RNN([layers.GRUCell(2), layers.LSTMCell(3, dropout=0.1)], return_sequences=True),
        RNN(FullGateLSTMCell(2), stateful=True),
        Dense(1),
    ],
    "missing values": lambda: [
        Input((6, 2)),
        Dense(6),
        GRUD(
            3,
            "softsign",
            "hard_sigmoid",
            means=[0.5, -1.0],
            return_sequences=True,
            stateful=True,
            **REGULARIZED,
        ),
        GRUD(2, use_bias=False, go_backwards=True),
        Dense(1),
    ],
    "normalised": lambda: [
        Input((6, 2)),
        LSTM(4, return_sequences=True),
        layers.BatchNormalization(
            momentum=0.9, epsilon=0.01, gamma_regularizer="l1", moving_mean_initializer="ones"
        ),
        layers.LayerNormalization(
            center=False, epsilon=0.01, gamma_initializer=initializers.Constant(0.5)
        ),
        Dense(3),
        layers.BatchNormalization(scale=False, beta_regularizer="l2"),
        GRU(2),
        layers.LayerNormalization(),
        Dense(1),
    ],
    "windows": lambda: [
        layers.Conv1D(
            4,
            3,
            padding="causal",
            dilation_rate=2,
            activation="relu",
            kernel_constraint="max_norm",
            input_shape=(6, 2),
        ),
        layers.MaxPooling1D(2, 1, "same"),
        layers.AveragePooling1D(2),
        layers.Conv1D(3, 2, 2, use_bias=False),
        LSTM(2),
        Dense(1),
    ],
    "attention": lambda: [
        Input((6, 2)),
        GRU(4, return_sequences=True),
        layers.Attention(True, "concat", dropout=0.1, seed=1),
        layers.Attention(),
        layers.AdditiveAttention(),
        layers.AdditiveAttention(use_scale=False),
        LSTM(2),
        Dense(1),
    ],
    "minimal": lambda: [
        MinGRU(4, return_sequences=True, dropout=0.1, input_shape=(6, 2)),
        MinLSTM(3, "tanh", kernel_regularizer="l2", stateful=True, bias_initializer="ones"),
        Dense(1),
    ],
    "images": lambda: [
        TimeDistributed(
            layers.Conv2D(2, 3, 2, "same", activation="relu", bias_constraint="non_neg")
        ),
        layers.ConvLSTM2D(2, (2, 1), padding="same", return_sequences=True, stateful=True),
        TimeDistributed(layers.MaxPooling2D(2)),
        TimeDistributed(layers.AveragePooling2D(1)),
        layers.ConvLSTM2D(2, 1, dropout=0.1, unit_forget_bias=False),
        layers.Conv2D(3, 1, use_bias=False, dilation_rate=2),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.GlobalMaxPooling2D(),
        Dense(1),
    ],
    "lines": lambda: [
        layers.ConvLSTM1D(2, 2, return_sequences=True, recurrent_dropout=0.1),
        layers.ConvLSTM1D(2, 1),
        layers.DepthwiseConv1D(2, depth_multiplier=2, padding="same"),
        layers.SeparableConv1D(3, 2, pointwise_regularizer="l2"),
        LSTM(2),
        Dense(1),
    ],
    "no recurrence": lambda: [
        Input((6, 2)),
        Flatten(),
        Dense(4, "leaky_relu", kernel_initializer="lecun_normal"),
        Dense(1),
    ],
}

SHAPES = {
    "lstm, every option": (None, 2),
    "words": (6,),
    "images": (3, 6, 4, 1),
    "lines": (3, 5, 2),
}  # of one sample; the others are (6, 2)

OPTIMIZERS = {
    "none": None,
    "sgd": optimizers.SGD(0.02, momentum=0.9, nesterov=True, clipnorm=1.0),
    "sgd without slots": optimizers.SGD(0.05, clipvalue=0.5),
    "rmsprop": optimizers.RMSprop(0.003, rho=0.8, momentum=0.5, epsilon=1e-5, centered=True),
    "adam": optimizers.Adam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-6, global_clipnorm=2.0),
    "adamw": optimizers.AdamW(0.01, weight_decay=0.1),
    "nadam, every option": optimizers.Nadam(
        schedules.OneCycle(0.1, 40),
        weight_decay=0.1,
        use_ema=True,
        ema_momentum=0.5,
        ema_overwrite_frequency=3,
        gradient_accumulation_steps=4,
    ),
    "amsgrad": optimizers.AdamW(
        schedules.PiecewiseConstantDecay([3, 5], [0.01, 0.1, 0.02]), amsgrad=True
    ),
    "adagrad": optimizers.Adagrad(schedules.CosineDecayRestarts(0.1, 3)),
    "lion": optimizers.Lion(0.001, weight_decay=0.5, gradient_accumulation_steps=2),
}


def new_optimizer(name):
    return optimizers.get(optimizers.serialize(OPTIMIZERS[name]))


def model_of(stack, optimizer="adam", dtype="float32", loss="mse", metric_list=("mae",)):
    shape = SHAPES.get(stack, (6, 2))
    model = Sequential([Input(shape, dtype=dtype), *STACKS[stack]()], name="net ü", seed=11)
    if OPTIMIZERS[optimizer] is not None:
        model.compile(new_optimizer(optimizer), loss, list(metric_list))
    return model
