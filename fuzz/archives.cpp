#include <cstdio>
#include <cstring>
#include <string>

#include "fuzz/targets.hpp"
#include "postgres/relative_path.hpp"
#include "postgres/tar_parser.hpp"

// The archives of a base backup: whole or in pieces, the same entries come out, and none of them
// leaves the directory.
namespace lifeboat::fuzz {
namespace {

constexpr std::size_t kBlock = 512, kChecksumAt = 148, kMagicAt = 257;

// Mutations would end at the checksum: each header gets the one that fits.
std::string with_checksums(std::string_view bytes) {
  std::string fixed(bytes);
  for (std::size_t at = 0; fixed.size() - at >= kBlock; at += kBlock) {
    if (fixed.compare(at + kMagicAt, 5, "ustar") != 0) continue;
    fixed.replace(at + kChecksumAt, 8, "        ");
    unsigned sum = 0;
    for (std::size_t i = 0; i < kBlock; ++i) sum += static_cast<unsigned char>(fixed[at + i]);
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    std::memcpy(&fixed[at + kChecksumAt], digits, 7);
  }
  return fixed;
}

class Seen : public postgres::TarVisitor {
 public:
  void entry(const postgres::TarEntry& entry) override {
    if (open_) broken("an entry within a file");
    if (postgres::clean_relative_path(entry.path) != entry.path) broken("a path that is not clean");
    open_ = entry.kind == postgres::TarKind::file;
    left_ = entry.size.value;
    text += '\n' + entry.path + '>' + entry.target + ' ' + std::to_string(entry.mode) + ' ' +
            std::to_string(entry.mtime.value) + ' ' + std::to_string(left_) + '\n';
  }
  void file_data(std::string_view piece) override {
    if (!open_ || piece.empty() || piece.size() > left_) broken("data that is no file's");
    left_ -= piece.size();
    text += piece;
  }
  void file_end() override {
    if (!open_ || left_ != 0) broken("a file is not as long as it says");
    open_ = false;
  }

  std::string text;

 private:
  bool open_ = false;
  std::uint64_t left_ = 0;
};

// What came until the end, or until the Error.
std::string read(std::string_view bytes, std::size_t piece) {
  Seen seen;
  postgres::TarParser parser(seen, "base.tar");
  try {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
      parser.feed(bytes.substr(0, piece));
    }
    parser.finish();
    return seen.text + "\nwhole";
  } catch (const Error&) {
    return seen.text + "\nrefused";
  }
}

}  // namespace

void archives(std::string_view bytes) {
  const auto archive = with_checksums(bytes);
  const auto whole = read(archive, archive.size());
  if (read(archive, 1 + archive.size() % 613) != whole) broken("other entries, in pieces");
  if (whole.ends_with("refused")) throw Error(Code::corrupt, "base.tar", "is refused");
}

}  // namespace lifeboat::fuzz

LIFEBOAT_FUZZ_TARGET(archives)
