"""Triples → facts, paths and vectors: what is known about items beyond their own columns."""

from motet.knowledge._check import (
    KnowledgeReport,
    RelationLeak,
    RelationReport,
    check_knowledge,
    relation_leaks,
)
from motet.knowledge._files import KNOWLEDGE_FILES, read_knowledge, read_written_knowledge, write_knowledge
from motet.knowledge._graph import Fact, KnowledgeGraph, Path, SharedFact
from motet.knowledge._vectors import GraphInteractions, hidden_relations, knowledge_vectors

__all__ = [
    "KNOWLEDGE_FILES",
    "Fact",
    "GraphInteractions",
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
