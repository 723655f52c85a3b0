from ._members import Members, NetworkMoments, standardised
from ._plain import check_plain, plain_blends, plain_network
from ._ranking import (
    NETWORK,
    RankingBlend,
    fit_blend,
    fit_members,
    read_blend,
    write_blend,
)
from ._tasks import (
    TaskBlend,
    fit_pair_members,
    fit_task_blend,
    read_task_blend,
    weigh_again,
    write_task_blend,
)
from ._weights import EarlierLists, weigh_by_lists

__all__ = [
    "NETWORK",
    "EarlierLists",
    "Members",
    "NetworkMoments",
    "RankingBlend",
    "TaskBlend",
    "check_plain",
    "fit_blend",
    "fit_members",
    "fit_pair_members",
    "fit_task_blend",
    "plain_blends",
    "plain_network",
    "read_blend",
    "read_task_blend",
    "standardised",
    "weigh_again",
    "weigh_by_lists",
    "write_blend",
    "write_task_blend",
]
