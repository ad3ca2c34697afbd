"""The autoencoder: features from which the observation can be told.

    L = -(1/N) sum_i ln p(o_i | phi(o))      nats a place, averaged over the batch

Source: Rumelhart, Hinton and Williams (1986), "Learning internal representations by error propagation"; Goodfellow,
Bengio and Courville (2016), "Deep learning", section 14.1.
"""

from rltk.encoders import Encoder
from rltk.objectives.decoder import Decoder
from rltk.objectives.objective import Batch, Loss, Objective


class Autoencoder(Objective):
    """`decoder` tells each observation from its features. width: of the decoder's places. sigma: of numbers."""

    def __init__(self, encoder: Encoder, *, width: int = 64, sigma: float = 1.0) -> None:
        super().__init__(encoder, width=width, sigma=sigma)
        self.decoder = Decoder(encoder.features_dim, encoder.parts, width, sigma)

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        loss = self.decoder.nll(encoder(batch.observations), batch.observations).mean()
        return Loss(loss, {"nll": loss.detach()})
