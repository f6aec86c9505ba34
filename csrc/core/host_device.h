// For functions of plain data that kernels call, and the host.
#pragma once

#if defined(__CUDACC__)
#define DIP_HOST_DEVICE __host__ __device__
#else
#define DIP_HOST_DEVICE
#endif
