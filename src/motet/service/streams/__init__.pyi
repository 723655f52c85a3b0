from ._flow import StreamCounts, ingest_stream, publish_stream
from ._messages import LARGEST_MESSAGE, StreamAddress

__all__ = ["LARGEST_MESSAGE", "StreamAddress", "StreamCounts", "ingest_stream", "publish_stream"]
