// One table for each dtype, filled with this instruction set's functions. Included by isa_*.cpp.
#include "arrays.h"
#include "attention.h"
#include "conv_lstm.h"
#include "convolution.h"
#include "ctc.h"
#include "dense.h"
#include "depthwise.h"
#include "gru.h"
#include "losses.h"
#include "lstm.h"
#include "narrow.h"
#include "normalized.h"
#include "optimizers.h"
#include "options.h"
#include "pooling.h"
#include "products.h"
#include "rnn.h"
#include "scan.h"

namespace GW_ISA {

template <class R> static gw_table<R> make_table() {
    gw_table<R> t = {};
    t.rnn = rnn_family<R>(), t.lstm = lstm_family<R>(), t.gru = gru_family<R>();
    t.normalized_rnn = Normalized<R, NormalizedRnn<R>>::family();
    t.normalized_lstm = Normalized<R, NormalizedLstm<R>>::family();
    t.normalized_gru = Normalized<R, NormalizedGru<R>>::family();
    t.scan_gates = scan_gates<R>, t.scan_gates_backward = scan_gates_backward<R>;
    t.scan_forward = scan_forward<R>, t.scan_backward = scan_backward<R>;
    t.dense_size = dense_size<R>, t.pack_dense = pack_dense<R>, t.dense = dense<R>;
    t.narrow_columns = narrow_columns, t.narrow_given = narrow_given;
    t.narrow_give = narrow_give, t.narrow_product = narrow_product;
    t.weight_tiles = weight_tiles<R>, t.weight_gradient = weight_gradient<R>;
    t.transposed_size = transposed_size<R>, t.input_gradient = input_gradient<R>;
    t.pack_transposed = [](const R *w, gw_int columns, gw_int length, R *packed) {
        pack_transposed<R>(w, columns, length, 0, length, packed);
    };
    t.correlate = correlate<R>, t.window_gradient = window_gradient<R>;
    t.conv_lstm_size = conv_lstm_size<R>, t.conv_lstm_pack = conv_lstm_pack<R>;
    t.conv_lstm_forward = conv_lstm_forward<R>, t.conv_lstm_backward = conv_lstm_backward<R>;
    t.pool = pool<R>, t.pool_backward = pool_backward<R>;
    t.depthwise = depthwise<R>, t.depthwise_backward = depthwise_backward<R>;
    t.activate = activate<R>, t.activate_backward = activate_backward<R>;
    t.softmax = softmax<R>, t.softmax_backward = softmax_backward<R>;
    t.normalize = normalize<R>;
    t.add_column_sums = add_column_sums<R>, t.first_nonfinite = first_nonfinite<R>;
    t.sum_of_squares = sum_of_squares<R>;
    t.dropout_mask = dropout_mask<R>, t.zoneout_mask = zoneout_mask<R>;
    t.squared_error = squared_error<R>, t.absolute_error = absolute_error<R>;
    t.huber = huber<R>, t.log_cosh = log_cosh<R>, t.percentage_error = percentage_error<R>;
    t.hinge = hinge<R>, t.squared_hinge = squared_hinge<R>;
    t.binary_crossentropy = binary_crossentropy<R>,
    t.categorical_crossentropy = categorical_crossentropy<R>;
    t.sparse_crossentropy = sparse_crossentropy<R>;
    t.additive_scores = additive_scores<R>, t.additive_backward = additive_backward<R>;
    t.ctc_size = ctc_size, t.ctc = ctc<R>;
    t.fma_loop = fma_loop<R>;
    t.sgd = sgd<R>, t.rmsprop = rmsprop<R>, t.adam = adam<R>, t.adagrad = adagrad<R>,
    t.lion = lion<R>;
    t.accumulate = accumulate<R>, t.average = average<R>;
    return t;
}

void fill(gw_table<float> *f, gw_table<double> *d) {
    *f = make_table<float>(), *d = make_table<double>();
}

} // namespace GW_ISA
