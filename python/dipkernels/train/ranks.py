"""Training on several processes or machines, each of which has a share of every batch: data parallelism over MPI.

After every batch the gradients of all ranks are added by one Allreduce of one flat buffer, in an order that depends on
the number of ranks alone; then every rank takes the same step, so that their weights stay the same bits. Ranks that
have a GPU each may add them there, by NCCL.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dipkernels import cuda
from dipkernels.arguments import choice
from dipkernels.ops.backend import FloatArray, to_host

# What the launchers of Open MPI, of MPICH and Intel, and of Slurm tell every process.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS")


class Ranks:
    """The processes that train together.

    Parameters
    ----------
    communicator
        Of mpi4py; None for MPI.COMM_WORLD.
    exchange
        How gradients on GPUs are added: "mpi" by way of the host, "nccl" from GPU to GPU. NCCL wants a GPU for each
        rank, its current one: launch it with another CUDA_VISIBLE_DEVICES each.

    Raises ImportError, with the remedy, without mpi4py, or without nccl4py for "nccl", and ValueError for another
    exchange.

    Source: lecture, training on several machines; Goyal et al. 2017, "Accurate, Large Minibatch SGD".
    """

    def __init__(self, communicator: Any = None, exchange: Literal["mpi", "nccl"] = "mpi") -> None:
        choice("Ranks", "exchange", exchange, ("mpi", "nccl"))
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise ImportError('training on several ranks needs mpi4py; pip install "dipkernels[mpi]"') from error
        self._sum, self._in_place = MPI.SUM, MPI.IN_PLACE
        self._communicator = MPI.COMM_WORLD if communicator is None else communicator
        self.rank: int = self._communicator.Get_rank()
        self.size: int = self._communicator.Get_size()
        self._gpus = _Gpus(self) if exchange == "nccl" else None

    @property
    def is_first(self) -> bool:
        """Whether this one writes and prints."""
        return self.rank == 0

    def share(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """This rank's part of a batch: as many as the others have, or one less; perhaps none."""
        return np.array_split(batch, self.size)[self.rank]

    def add(self, values: npt.NDArray[Any]) -> None:
        """Makes `values` the sum of all ranks'."""
        self._communicator.Allreduce(self._in_place, values, op=self._sum)

    def from_first(self, value: Any) -> Any:
        """What the first rank has."""
        return self._communicator.bcast(value, root=0)

    def average(
        self, gradients: Mapping[str, FloatArray], parameters: Mapping[str, FloatArray], share: float, total: float
    ) -> dict[str, FloatArray]:
        """The gradients of the whole batch, from those of the means over the ranks' parts: `share` is what this one's
        part counts, `total` what the whole does. One Allreduce of all of them, in the order of `parameters`.
        """
        on_gpu = any(cuda.is_on_gpu(value) for value in parameters.values())
        if on_gpu and self._gpus is not None:
            return self._gpus.average(gradients, parameters, share / total if share else 0.0)
        flat = np.zeros(sum(value.size for value in parameters.values()), np.float32)
        parts, begin = {}, 0
        for name, value in parameters.items():
            part = flat[begin : begin + value.size]
            begin += value.size
            parts[name] = part.reshape(value.shape)
            if share:
                np.multiply(to_host(gradients[name]), np.float32(share / total), out=parts[name])
        self.add(flat)
        return {name: cuda.to_device(part) for name, part in parts.items()} if on_gpu else parts  # type: ignore[misc]

    def abort(self, code: int) -> None:
        """Ends all ranks: one that waits for another would wait for ever."""
        self._communicator.Abort(code)


class _Gpus:
    """NCCL's communicator of all ranks, by NVIDIA's nccl4py."""

    def __init__(self, ranks: Ranks) -> None:
        try:
            import nccl.core as nccl
        except ImportError as error:
            raise ImportError('Ranks: exchange "nccl" needs nccl4py; pip install "dipkernels[nccl]"') from error
        self._nccl = nccl
        own = nccl.get_unique_id() if ranks.is_first else None
        self._communicator = nccl.Communicator.init(nranks=ranks.size, rank=ranks.rank, unique_id=ranks.from_first(own))
        self._sums: dict[float, Any] = {}

    def average(
        self, gradients: Mapping[str, FloatArray], parameters: Mapping[str, FloatArray], weight: float
    ) -> dict[str, FloatArray]:
        """The sums of all ranks' gradients times their `weight`, in place and in one group: NCCL multiplies what a rank
        brings before it adds.
        """
        if weight not in self._sums:  # few: by the sizes of the batches
            self._sums[weight] = self._communicator.create_pre_mul_sum(np.array([weight], np.float32))
        # A rank that has no share of a batch brings zeros.
        own = {n: gradients[n] if weight else value.zeros_like() for n, value in parameters.items()}  # type: ignore[attr-defined]
        with self._nccl.group():
            for each in own.values():
                self._communicator.allreduce(each, each, self._sums[weight])
        return own


def from_launcher() -> Ranks | None:
    """The ranks that an MPI launcher such as mpirun has started; None where this process is alone.

    ImportError, with the remedy, where it is not and mpi4py is missing.
    """
    for name in _SIZES:
        if os.environ.get(name, "1").isdecimal() and int(os.environ.get(name, "1")) > 1:
            found = Ranks()
            return found if found.size > 1 else None
    return None


@contextlib.contextmanager
def only_first_prints(ranks: Ranks) -> Iterator[None]:
    """What the first rank prints is seen, and what goes wrong on any of them, once; then all end.

    A rank that fails alone would leave the others waiting, so it ends them, after it has said why. Of an error that all
    have the first rank speaks first.
    """
    try:
        if ranks.is_first:
            yield
        else:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                yield
    except (Exception, KeyboardInterrupt) as error:
        if not ranks.is_first:
            time.sleep(1)
        text = str(error) or type(error).__name__
        print(f"dipkernels: {text if ranks.is_first else f'rank {ranks.rank}: {text}'}", file=sys.stderr, flush=True)
        ranks.abort(2)
        raise
