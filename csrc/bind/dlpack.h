// The C structures of DLPack (dmlc.github.io/dlpack), through which libraries hand each other arrays without a copy.
#pragma once

#include <cstdint>

namespace dip::dlpack {

constexpr std::int32_t device_cuda = 2, device_cuda_managed = 13;
constexpr std::uint8_t code_int = 0, code_uint = 1, code_float = 2, code_bfloat = 4;
constexpr std::uint64_t flag_read_only = 1;

struct Device {
  std::int32_t type;
  std::int32_t id;
};

struct DataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null where contiguous
  std::uint64_t byte_offset;
};

// In a capsule named "dltensor".
struct Managed {
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};

// In a capsule named "dltensor_versioned".
struct ManagedVersioned {
  std::uint32_t major, minor;
  void* context;
  void (*deleter)(ManagedVersioned*);
  std::uint64_t flags;
  Tensor tensor;
};

// What a library offers as C functions, in a capsule named "dlpack_exchange_api" that is the attribute
// __dlpack_c_exchange_api__ of its array's type. They return 0, or −1 with a Python exception set; none of them orders
// streams.
struct ExchangeApi {
  std::uint32_t major, minor;
  ExchangeApi* previous;  // of an older version, or null
  int (*allocate)(Tensor* like, ManagedVersioned** out, void* context,
                  void (*set_error)(void* context, const char* kind, const char* message));
  int (*managed_from_object)(void* object, ManagedVersioned** out);
  int (*managed_to_object)(ManagedVersioned* tensor, void** object);  // takes the tensor over
  int (*tensor_from_object)(void* object, Tensor* out);               // a view, not an owner; null: not offered
  int (*current_stream)(std::int32_t device_type, std::int32_t device, void** stream);
};

}  // namespace dip::dlpack
