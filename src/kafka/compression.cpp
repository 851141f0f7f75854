#include "kafka/compression.hpp"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <bit>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace lifeboat::kafka {

namespace {

using namespace std::literals;

constexpr std::size_t kFirstBuffer = 64u << 10;
constexpr int kLeastWindowLog = 23;           // every decoder should have as much (RFC 8878)
constexpr int kMostWindowLog = 27;            // zstd's own limit for streams
constexpr std::size_t kSnappyMostRatio = 22;  // a copy of 64 bytes takes 3

constexpr auto kXerialMagic = "\x82SNAPPY\0"sv;
constexpr std::size_t kXerialHeader = 16;  // magic, version, lowest compatible version

constexpr int kGzip = MAX_WBITS + 16;
constexpr int kGzipMemory = 8;

struct Lz4Free {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};
struct ZstdFree {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
struct Inflate {
  Inflate() { ready = inflateInit2(&stream, kGzip) == Z_OK; }
  ~Inflate() { inflateEnd(&stream); }
  z_stream stream{};
  bool ready = false;
};

[[noreturn]] void out_of_memory(std::string_view codec) {
  throw Error(Code::failed, std::string(codec), "no memory for a context");
}

auto* unsigned_bytes(std::string_view bytes) {  // zlib never writes to its input
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

}  // namespace

std::string_view to_string(Compression codec) {
  switch (codec) {
    case Compression::none:
      return "none";
    case Compression::gzip:
      return "gzip";
    case Compression::snappy:
      return "snappy";
    case Compression::lz4:
      return "lz4";
    case Compression::zstd:
      return "zstd";
  }
  return "unknown";
}

struct Decompressor::State {
  explicit State(ByteCount most) : limit(static_cast<std::size_t>(most.value)) {}

  // Room behind the `used` bytes of the buffer; it grows only when all of it was filled.
  std::size_t room() {
    if (used == buffer.size()) {
      if (used >= limit) too_much();
      buffer.resize(std::min(limit, std::max(kFirstBuffer, used * 2)));
    }
    return buffer.size() - used;
  }
  char* end() { return buffer.data() + used; }

  [[noreturn]] void too_much() const {
    throw Error(Code::unsupported, subject,
                fmt::format("its {} records are larger than {} bytes when decompressed, the most "
                            "that is taken",
                            to_string(codec), limit));
  }
  [[noreturn]] void corrupt(std::string_view why) const {
    throw Error(Code::corrupt, subject, fmt::format("its {} records {}", to_string(codec), why));
  }

  void gunzip(std::string_view bytes);
  void unsnappy(std::string_view bytes);
  void unsnappy_block(std::string_view block);
  void unlz4(std::string_view bytes);
  void unzstd(std::string_view bytes);

  const std::size_t limit;
  std::string buffer;
  std::size_t used = 0;
  Compression codec = Compression::none;
  std::string subject;
  std::unique_ptr<Inflate> inflate;
  std::unique_ptr<LZ4F_dctx, Lz4Free> lz4;
  std::unique_ptr<ZSTD_DCtx, ZstdFree> zstd;
};

// Members may follow one another, as java.util.zip reads them.
void Decompressor::State::gunzip(std::string_view bytes) {
  if (!inflate) inflate = std::make_unique<Inflate>();
  if (!inflate->ready) out_of_memory("gzip");
  auto& stream = inflate->stream;
  inflateReset(&stream);
  stream.next_in = unsigned_bytes(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  for (;;) {
    const auto free = static_cast<uInt>(room());
    stream.next_out = reinterpret_cast<Bytef*>(end());
    stream.avail_out = free;
    const int status = ::inflate(&stream, Z_NO_FLUSH);
    used += free - stream.avail_out;
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) return;
      inflateReset(&stream);
    } else if (status == Z_MEM_ERROR) {
      out_of_memory("gzip");
    } else if (status != Z_OK && !(status == Z_BUF_ERROR && stream.avail_out == 0)) {
      corrupt(status == Z_BUF_ERROR ? "end too early" : "are damaged");
    } else if (stream.avail_in == 0 && stream.avail_out != 0) {
      corrupt("end too early");
    }
  }
}

void Decompressor::State::unsnappy_block(std::string_view block) {
  std::size_t told = 0;
  if (!snappy::GetUncompressedLength(block.data(), block.size(), &told) ||
      told > block.size() * kSnappyMostRatio) {
    corrupt("are damaged");
  }
  if (told > limit - used) too_much();
  if (buffer.size() - used < told) buffer.resize(std::max(used + told, kFirstBuffer));
  if (!snappy::RawUncompress(block.data(), block.size(), end())) corrupt("are damaged");
  used += told;
}

void Decompressor::State::unsnappy(std::string_view bytes) {
  if (!bytes.starts_with(kXerialMagic)) return unsnappy_block(bytes);
  while (!bytes.empty()) {
    if (bytes.starts_with(kXerialMagic)) {  // also between blocks, where streams were joined
      if (bytes.size() < kXerialHeader) corrupt("end in a header");
      bytes.remove_prefix(kXerialHeader);
      continue;
    }
    if (bytes.size() < 4) corrupt("end too early");
    const auto length = load_be<std::uint32_t>(bytes.data());
    bytes.remove_prefix(4);
    if (length > bytes.size()) corrupt("end too early");
    unsnappy_block(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
}

void Decompressor::State::unlz4(std::string_view bytes) {
  if (!lz4) {
    LZ4F_dctx* context = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) out_of_memory("lz4");
    lz4.reset(context);
  }
  LZ4F_resetDecompressionContext(lz4.get());
  for (;;) {
    auto written = room();  // before end()
    auto read = bytes.size();
    const auto hint = LZ4F_decompress(lz4.get(), end(), &written, bytes.data(), &read, nullptr);
    if (LZ4F_isError(hint)) corrupt(fmt::format("are damaged: {}", LZ4F_getErrorName(hint)));
    used += written;
    bytes.remove_prefix(read);
    if (hint == 0 && !bytes.empty()) corrupt("have bytes after their end");
    if (hint == 0) return;
    if (read == 0 && written == 0) corrupt("end too early");
  }
}

void Decompressor::State::unzstd(std::string_view bytes) {
  if (!zstd) {
    zstd.reset(ZSTD_createDCtx());
    if (!zstd) out_of_memory("zstd");
    const int window =
        std::clamp(static_cast<int>(std::bit_width(limit)), kLeastWindowLog, kMostWindowLog);
    ZSTD_DCtx_setParameter(zstd.get(), ZSTD_d_windowLogMax, window);
  }
  ZSTD_DCtx_reset(zstd.get(), ZSTD_reset_session_only);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    const auto read_before = in.pos;
    const auto free = room();  // before end(): it may move the buffer
    ZSTD_outBuffer out{end(), free, 0};
    const auto hint = ZSTD_decompressStream(zstd.get(), &out, &in);
    if (ZSTD_isError(hint)) corrupt(fmt::format("are damaged: {}", ZSTD_getErrorName(hint)));
    used += out.pos;
    if (hint == 0 && in.pos == in.size) return;  // frames may follow one another
    if (in.pos == in.size && out.pos < out.size) corrupt("end too early");
    if (in.pos == read_before && out.pos == 0) corrupt("are damaged");
  }
}

Decompressor::Decompressor(ByteCount limit) : state_(std::make_unique<State>(limit)) {}
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;

std::string_view Decompressor::run(Compression codec, std::string_view bytes,
                                   const std::string& subject) {
  auto& s = *state_;
  if (codec == Compression::none) return bytes;
  s.used = 0;
  s.codec = codec;
  s.subject = subject;
  switch (codec) {
    case Compression::gzip:
      s.gunzip(bytes);
      break;
    case Compression::snappy:
      s.unsnappy(bytes);
      break;
    case Compression::lz4:
      s.unlz4(bytes);
      break;
    default:
      s.unzstd(bytes);
      break;
  }
  return std::string_view(s.buffer).substr(0, s.used);
}

namespace {

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, kGzipMemory,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    out_of_memory("gzip");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = unsigned_bytes(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw Error(Code::failed, "gzip", "cannot compress");
  return out;
}

std::string lz4(std::string_view bytes) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;  // Java reads no other
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  std::string out(LZ4F_compressFrameBound(bytes.size(), &preferences), '\0');
  const auto size =
      LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), &preferences);
  if (LZ4F_isError(size)) throw Error(Code::failed, "lz4", LZ4F_getErrorName(size));
  out.resize(size);
  return out;
}

std::string zstd(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const auto size =
      ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size)) throw Error(Code::failed, "zstd", ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

}  // namespace

std::string compress(Compression codec, std::string_view bytes) {
  switch (codec) {
    case Compression::none:
      return std::string(bytes);
    case Compression::gzip:
      return gzip(bytes);
    case Compression::snappy: {
      std::string out;
      snappy::Compress(bytes.data(), bytes.size(), &out);
      return out;
    }
    case Compression::lz4:
      return lz4(bytes);
    case Compression::zstd:
      return zstd(bytes);
  }
  throw Error(Code::unsupported, "records", "a compression that is not known");
}

}  // namespace lifeboat::kafka
