"""The trunks by name."""

from rltk.encoders.trunks.convolutions import Convolutions
from rltk.encoders.trunks.decoding import EncoderDecoder, SequenceToSequence
from rltk.encoders.trunks.dense import Dense
from rltk.encoders.trunks.inception import Inception
from rltk.encoders.trunks.perceptron import LinearTrunk, Perceptron
from rltk.encoders.trunks.recurrent import GRUTrunk, LSTMTrunk, RNNTrunk, SRUTrunk
from rltk.encoders.trunks.residual import Residual
from rltk.encoders.trunks.transformer import Transformer, VisionTransformer
from rltk.encoders.trunks.trunk import Trunk
from rltk.encoders.trunks.vgg import VGG

TRUNKS: dict[str, type[Trunk]] = {
    "linear": LinearTrunk,
    "mlp": Perceptron,
    "cnn": Convolutions,
    "impala": Residual,
    "vgg": VGG,
    "inception": Inception,
    "dense": Dense,
    "transformer": Transformer,
    "vit": VisionTransformer,
    "encoder-decoder": EncoderDecoder,
    "rnn": RNNTrunk,
    "lstm": LSTMTrunk,
    "gru": GRUTrunk,
    "sru": SRUTrunk,
    "seq2seq": SequenceToSequence,
}

__all__ = ["TRUNKS", "Trunk"]
