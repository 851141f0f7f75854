#include <zstd.h>

#include "fuzz/containers.hpp"
#include "fuzz/targets.hpp"
#include "vault/summary_format.hpp"

// Summaries of the logbook. The first byte says what follows: a whole object; what is compressed in
// one, a directory or a block of extents, which mutations of an object would hardly reach; or an
// object of the logbook whose footer is summarised.
namespace lifeboat::fuzz {
namespace {

const std::string kIncarnation = "20261122T170506123Z-00000000";
const std::string kName = vault::summary_name(kIncarnation, 0);

std::string squeeze(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

vault::Summary open(const std::string& object) {
  auto summary = vault::open_summary(nullptr, kName, object);
  if (summary.covered().count() != summary.objects.size()) broken("an object is told of twice");
  return summary;
}

void whole(const std::string& object) {
  const auto summary = open(object);
  for (const auto& log : summary.logs) {
    const auto stored = object.substr(log.offset.value, log.stored.value);
    const auto extents = vault::open_summarized(nullptr, kName, summary, log, stored);
    if (extents.size() != log.extents) broken("a block has more or less than is counted");
  }
}

// With room behind it for the blocks that it tells of.
void directory(std::string_view bytes) {
  const auto squeezed = squeeze(bytes);
  std::string payload;
  append_le<std::uint32_t>(payload, static_cast<std::uint32_t>(squeezed.size()));
  append_le<std::uint32_t>(payload, static_cast<std::uint32_t>(bytes.size()));
  payload += squeezed;
  payload.resize(payload.size() + 4096);
  for (const auto& log : open(vault::frame(vault::ObjectType::summary, kName, payload)).logs) {
    if (log.stored.value > 4096) broken("a block that is not there");
  }
}

// The first byte: how many extents.
void block(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto raw = bytes.substr(1);
  const auto stored = squeeze(raw);
  vault::Summary summary;
  for (std::uint64_t number = 0; number < 2; ++number) {
    summary.objects.push_back({{kIncarnation, number}, {}, ByteCount(5000), 1, {}, {}});
  }
  vault::SummarizedLog log;
  log.log = {"kafka/c/t/events/0"};
  log.extents = static_cast<unsigned char>(bytes[0]);
  log.stored = ByteCount(stored.size());
  log.raw = ByteCount(raw.size());
  log.crc = crc32c(stored, crc32c(log.log.value));
  for (const auto& one : vault::open_summarized(nullptr, kName, summary, log, stored)) {
    if (one.object >= summary.objects.size()) broken("an extent in no object");
  }
}

// What a footer says that can be read, its summary says too.
void footer(std::string_view bytes) {
  const auto name = vault::logbook_name({kIncarnation, 7});
  const auto object = container_with_checksums(name, bytes);
  const auto told = vault::open_logbook_object(nullptr, name, object);
  vault::SummaryBuilder builder;
  builder.add({kIncarnation, 7}, ByteCount(object.size()), told);
  try {
    const auto built = builder.finish(nullptr, kName, Timestamp(6));
    whole(built);
    const auto summary = open(built);
    if (summary.objects.size() != 1 || summary.objects[0].extents != told.extents.size() ||
        summary.objects[0].replaces != told.replaced) {
      broken("a footer is told otherwise");
    }
  } catch (const Error& error) {
    broken(error.what());
  }
}

}  // namespace

void summaries(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto rest = bytes.substr(1);
  switch (static_cast<unsigned char>(bytes[0]) % 4) {
    case 0:
      return whole(frame_with_checksums(kName, rest));
    case 1:
      return directory(rest);
    case 2:
      return block(rest);
    default:
      return footer(rest);
  }
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(summaries)
