"""Triples → facts, paths and vectors: what is known about items beyond their own columns."""

from motet.knowledge._check import KnowledgeReport, RelationReport, check_knowledge
from motet.knowledge._edges import Interactions
from motet.knowledge._facts import Fact, Path, SharedFact
from motet.knowledge._files import KNOWLEDGE_FILES, read_written_knowledge, write_knowledge
from motet.knowledge._graph import KnowledgeGraph
from motet.knowledge._leak import RelationLeak, relation_leaks
from motet.knowledge._read import read_knowledge
from motet.knowledge._vectors import hidden_relations, knowledge_vectors

__all__ = [
    "KNOWLEDGE_FILES",
    "Fact",
    "Interactions",
    "KnowledgeGraph",
    "KnowledgeReport",
    "Path",
    "RelationLeak",
    "RelationReport",
    "SharedFact",
    "check_knowledge",
    "hidden_relations",
    "knowledge_vectors",
    "read_knowledge",
    "read_written_knowledge",
    "relation_leaks",
    "write_knowledge",
]
