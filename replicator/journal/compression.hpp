// zstd frames of one body each. The work memory is kept from one body to the next: for a small one, to get it
// takes longer than all the rest.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace tidegate {

class Compressor {
 public:
  Compressor();
  std::string compress(std::string_view bytes);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
};

class Decompressor {
 public:
  Decompressor();
  // Throws std::invalid_argument where it is no frame, or too large for a value of SQLite.
  std::string decompress(std::string_view bytes);

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
};

}  // namespace tidegate
