#include "postgres/tar_parser.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.hpp"
#include "postgres/relative_path.hpp"

namespace lifeboat::postgres {
namespace {

// Writes tar by hand, after POSIX.1-1988: it shares nothing with the parser.
std::string header(const std::string& name, char type, std::string size,
                   const std::string& link = "", const std::string& prefix = "") {
  std::string block(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    block.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, std::string("0000600\0", 8));
  put(108, std::string("0000000\0", 8));
  put(116, std::string("0000000\0", 8));
  put(124, size);
  put(136, std::string("14000000000\0", 12));
  put(156, std::string(1, type));
  put(157, link);
  put(257, std::string("ustar\00000", 8));
  put(345, prefix);
  put(148, "        ");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  put(148, std::string(digits, 6) + std::string("\0 ", 2));
  return block;
}

std::string octal(std::size_t n) {
  char digits[13];
  std::snprintf(digits, sizeof digits, "%011zo", n);
  return std::string(digits, 12);
}

std::string padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512);
  return content;
}

std::string file(const std::string& name, const std::string& content) {
  return header(name, '0', octal(content.size())) + padded(content);
}

const std::string kEnd(1024, '\0');

// What came, as text.
class Record : public TarVisitor {
 public:
  void entry(const TarEntry& entry) override {
    const char* kinds[] = {"file", "dir", "link"};
    text += fmt::format("{} {}", kinds[static_cast<int>(entry.kind)], entry.path);
    if (entry.kind == TarKind::file) text += fmt::format(" {} ", entry.size);
    if (entry.kind == TarKind::symlink) text += " -> " + entry.target;
    if (entry.kind != TarKind::file) text += "\n";
  }
  void file_data(std::string_view piece) override {
    EXPECT_FALSE(piece.empty());
    text += piece;
  }
  void file_end() override { text += "\n"; }
  std::string text;
};

std::string parse(std::string_view archive, std::size_t step) {
  Record record;
  TarParser parser(record, "test");
  for (; !archive.empty(); archive.remove_prefix(std::min(step, archive.size()))) {
    parser.feed(archive.substr(0, step));
  }
  parser.finish();
  return record.text;
}

// nullopt: refused as corrupt. Anything else fails the test.
std::optional<std::string> try_parse(std::string_view archive, std::size_t step = 1 << 20) {
  try {
    return parse(archive, step);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::corrupt) << error.what();
    return std::nullopt;
  }
}

std::string good_archive() {
  return file("backup_label", "START") + header("base", '5', octal(0)) + file("base/1", "") +
         header("pg_tblspc/16400", '2', octal(0), "/var/space") +
         file("base/5", std::string(700, 'x')) + kEnd;
}

TEST(Tar, ReadsEverythingInAnyPieces) {
  const auto expected =
      "file backup_label 5 START\ndir base\nfile base/1 0 \n"
      "link pg_tblspc/16400 -> /var/space\nfile base/5 700 " +
      std::string(700, 'x') + "\n";
  for (const std::size_t step : {1, 2, 7, 511, 512, 513, 1000, 100000}) {
    EXPECT_EQ(parse(good_archive(), step), expected) << step;
  }
}

TEST(Tar, LongNamesPrefixesAndLargeNumbers) {
  const std::string long_name(300, 'n'), long_target = "/" + std::string(200, 't');
  const auto gnu = header("././@LongLink", 'L', octal(301)) + padded(long_name + '\0') +
                   header("short", '0', octal(2)) + padded("ab") + kEnd;
  EXPECT_EQ(parse(gnu, 100), "file " + long_name + " 2 ab\n");
  const auto link = header("././@LongLink", 'K', octal(201)) + padded(long_target) +
                    header("l", '2', octal(0), "cut") + kEnd;
  EXPECT_EQ(parse(link, 100), "link l -> " + long_target + "\n");
  EXPECT_EQ(parse(header("c", '0', octal(0), "", "a/b") + kEnd, 512), "file a/b/c 0 \n");

  Record record;
  TarParser parser(record, "test");
  parser.feed(header("big", '0', std::string("\x80\0\0\0\0\0\0\x03\0\0\0\0", 12)));
  EXPECT_EQ(record.text, "file big 12884901888 ");
  EXPECT_THROW(parser.finish(), Error);
}

TEST(Tar, EveryTruncationIsRefused) {
  const auto whole = good_archive();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(try_parse(std::string_view(whole).substr(0, n))) << n;
  }
}

TEST(Tar, AFlippedBitIsRefusedOrHarmless) {
  const auto whole = good_archive();
  const auto expected = parse(whole, 512);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = whole;
      flipped[n] = static_cast<char>(flipped[n] ^ (1 << bit));
      const auto got = try_parse(flipped);
      // Content and padding have no checksum in tar; headers do: names and sizes stand.
      if (got) {
        EXPECT_EQ(got->size(), expected.size()) << n;
      }
    }
  }
}

TEST(Tar, HostileEntriesAreRefused) {
  for (const std::string name :
       {"../x", "a/../../x", "/etc/passwd", "..", ".", "", "a//b", "a/./b", "./../x"}) {
    EXPECT_FALSE(try_parse(header(name, '0', octal(0)) + kEnd)) << name;
    EXPECT_FALSE(try_parse(header(name, '5', octal(0)) + kEnd)) << name;
  }
  for (const char type : {'1', '3', '4', '6', 'x', 'g', 'S', 'V', '\x7f'}) {
    EXPECT_FALSE(try_parse(header("a", type, octal(0)) + kEnd)) << type;
  }
  EXPECT_FALSE(try_parse(header("a", '5', octal(5)) + padded("xxxxx") + kEnd));
  EXPECT_FALSE(try_parse(header("L", 'L', octal(4097)) + std::string(5120, 'a') + kEnd));
  EXPECT_FALSE(try_parse(header("L", 'L', octal(0)) + kEnd));
  const auto sneaky = std::string("../../etc/cron.d/x");
  EXPECT_FALSE(try_parse(header("L", 'L', octal(sneaky.size())) + padded(sneaky) +
                         header("a", '0', octal(0)) + kEnd));
  for (const auto& size :
       {std::string(12, '7'), std::string("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        std::string("-0000000001\0", 12), std::string(12, ' '), std::string(12, '\0'),
        std::string("0000000000x\0", 12)}) {
    EXPECT_FALSE(try_parse(header("a", '0', size) + kEnd));
  }
  EXPECT_FALSE(try_parse(kEnd + file("late", "x") + kEnd));
  EXPECT_TRUE(try_parse(kEnd));
}

TEST(Tar, AFileAsLargeAsItsHeaderSaysCostsNoMemory) {
  // 1 EiB is named, 64 KiB come, then the end: nothing is allocated for what is only named.
  EXPECT_FALSE(
      try_parse(header("a", '0', std::string("\x80\0\0\0\x0f\xff\xff\xff\xff\xff\xff\xff", 12)) +
                std::string(65536, 'a')));
}

TEST(RelativePath, FilesOfPagesAreKnownByTheirPath) {
  for (const auto* path : {"base/5/1259", "base/5/1259_fsm", "base/5/1259.1", "global/1262",
                           "pg_tblspc/16400/PG_15_202209061/5/16401"}) {
    EXPECT_TRUE(is_relation(path)) << path;
  }
  for (const auto* path : {"base/5/PG_VERSION", "global/pg_control", "pg_xact/0000", "backup_label",
                           "base/5/pg_filenode.map", "1259", "base/5/", ""}) {
    EXPECT_FALSE(is_relation(path)) << path;
  }
}

TEST(RelativePath, Cleans) {
  EXPECT_EQ(clean_relative_path("./base/1"), "base/1");
  EXPECT_EQ(clean_relative_path("base/"), "base");
  EXPECT_EQ(clean_relative_path("a..b/..c/..."), "a..b/..c/...");
  EXPECT_THROW(clean_relative_path(std::string_view("a\0b", 3)), Error);
  EXPECT_THROW(clean_relative_path(std::string(5000, 'a')), Error);
}

}  // namespace
}  // namespace lifeboat::postgres
