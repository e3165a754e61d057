#include "replicator/journal/compression.hpp"

#include <zstd.h>

#include <new>
#include <stdexcept>

#include "db/error.hpp"

namespace tidegate {
namespace {

// The journal is written once and soon read; time matters more than size. A small body is mostly cheap to
// copy and dear to build entropy tables for: negative levels leave them away.
constexpr int level_of_small = -1, level_of_large = 1;
constexpr std::size_t small_body = 4096;
constexpr std::size_t max_body_bytes = std::size_t{1} << 30;  // SQLite's limit on one value

}  // namespace

void Compressor::Free::operator()(ZSTD_CCtx_s* context) const {
  ZSTD_freeCCtx(context);
}
void Decompressor::Free::operator()(ZSTD_DCtx_s* context) const {
  ZSTD_freeDCtx(context);
}

Compressor::Compressor() : context_(ZSTD_createCCtx()) {
  if (!context_) throw std::bad_alloc();
}
Decompressor::Decompressor() : context_(ZSTD_createDCtx()) {
  if (!context_) throw std::bad_alloc();
}

std::string Compressor::compress(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  int level = bytes.size() < small_body ? level_of_small : level_of_large;
  std::size_t size =
      ZSTD_compressCCtx(context_.get(), out.data(), out.size(), bytes.data(), bytes.size(), level);
  if (ZSTD_isError(size)) throw Error(std::string("compress: ") + ZSTD_getErrorName(size), "", Advice::stop);
  out.resize(size);
  return out;
}

std::string Decompressor::decompress(std::string_view bytes) {
  auto size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > max_body_bytes) {
    throw std::invalid_argument("the body is no zstd frame");
  }
  std::string out(size, '\0');
  if (ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), bytes.data(), bytes.size()) != size) {
    throw std::invalid_argument("the body does not decompress");
  }
  return out;
}

}  // namespace tidegate
