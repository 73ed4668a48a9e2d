"""Characters to characters: states of an encoder begin a decoder, which then runs step by step."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras

latent, source_tokens, target_tokens = 12, 7, 9
rng = np.random.default_rng(7)
sources = np.eye(source_tokens)[rng.integers(source_tokens, size=(40, 5))]
targets = rng.integers(1, target_tokens, (40, 6))
targets[:, 0] = 0
decoder_input = np.eye(target_tokens)[targets]
decoder_target = np.eye(target_tokens)[np.roll(targets, -1, axis=1)]

encoder_inputs = keras.Input(shape=(None, source_tokens))
encoder = keras.layers.LSTM(latent, return_state=True)
encoder_outputs, state_h, state_c = encoder(encoder_inputs)
encoder_states = [state_h, state_c]

decoder_inputs = keras.Input(shape=(None, target_tokens))
decoder_lstm = keras.layers.LSTM(latent, return_sequences=True, return_state=True)
decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
decoder_dense = keras.layers.Dense(target_tokens, activation="softmax")
decoder_outputs = decoder_dense(decoder_outputs)
model = keras.Model([encoder_inputs, decoder_inputs], decoder_outputs)
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(
    [sources, decoder_input],
    decoder_target,
    batch_size=8,
    epochs=2,
    validation_split=0.2,
    verbose=0,
)

encoder_model = keras.Model(encoder_inputs, encoder_states)
state_inputs = [keras.Input(shape=(latent,)), keras.Input(shape=(latent,))]
outputs, h, c = decoder_lstm(decoder_inputs, initial_state=state_inputs)
outputs = decoder_dense(outputs)
decoder_model = keras.Model([decoder_inputs] + state_inputs, [outputs] + [h, c])

whole = model.predict([sources, decoder_input], verbose=0)
states = encoder_model.predict(sources, verbose=0)
for step in range(3):
    tokens, *states = decoder_model.predict([decoder_input[:, step : step + 1]] + states, verbose=0)
    np.testing.assert_allclose(tokens[:, 0], whole[:, step], atol=1e-5)
