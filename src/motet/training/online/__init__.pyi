from ._growth import Grown, grow_encoder
from ._update import MicroBatch, UpdateSettings, update_bundle

__all__ = ["Grown", "MicroBatch", "UpdateSettings", "grow_encoder", "update_bundle"]
