// Is a file system's device encrypted, as far as the kernel tells?
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

namespace tidegate {

// Whether dm-crypt (LUKS) stands anywhere below the block device. Absent where it is no block device that
// `sys` knows: a network's, a container's overlay. What a file system encrypts itself is not seen.
std::optional<bool> is_encrypted(dev_t device, const std::filesystem::path& sys = "/sys");

}  // namespace tidegate
