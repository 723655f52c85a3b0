from ._check import KnowledgeReport, check_knowledge
from ._files import KNOWLEDGE_FILES, read_knowledge, read_written_knowledge, write_knowledge
from ._graph import Fact, KnowledgeGraph
from ._vectors import GraphInteractions, hidden_relations, knowledge_vectors

__all__ = [
    "KNOWLEDGE_FILES",
    "Fact",
    "GraphInteractions",
    "KnowledgeGraph",
    "KnowledgeReport",
    "check_knowledge",
    "hidden_relations",
    "knowledge_vectors",
    "read_knowledge",
    "read_written_knowledge",
    "write_knowledge",
]
