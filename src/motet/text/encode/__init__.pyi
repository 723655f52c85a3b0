from ._build import build_encoder, one_in_use, register_text_encoder, text_encoder
from ._caches import KeyedRows, RowsInMemory, RowsOnDisk, VectorCache, encode_cached
from ._encoders import CTranslate2Encoder, TextEncoder, TorchEncoder, equal_length_batches, sorted_batches
from ._endpoint import Again, Calls, EndpointEncoder, RefusedCallError, refuse_if_offline
from ._model_folder import PACKAGED, content_hash, find_model

__all__ = [
    "PACKAGED",
    "Again",
    "CTranslate2Encoder",
    "Calls",
    "EndpointEncoder",
    "KeyedRows",
    "RefusedCallError",
    "RowsInMemory",
    "RowsOnDisk",
    "TextEncoder",
    "TorchEncoder",
    "VectorCache",
    "build_encoder",
    "content_hash",
    "encode_cached",
    "equal_length_batches",
    "find_model",
    "one_in_use",
    "refuse_if_offline",
    "register_text_encoder",
    "sorted_batches",
    "text_encoder",
]
