#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/types.hpp"

namespace lifeboat::postgres {

enum class TarKind { file, directory, symlink };

struct TarEntry {
  TarKind kind = TarKind::file;
  std::string path;    // as clean_relative_path() gives it
  std::string target;  // of a symlink, as it stands
  ByteCount size;      // of a file
  int mode = 0;
  Timestamp mtime;
};

class TarVisitor {
 public:
  virtual ~TarVisitor() = default;
  virtual void entry(const TarEntry& entry) = 0;
  virtual void file_data(std::string_view piece) = 0;  // never empty; views the bytes fed
  virtual void file_end() = 0;
};

// A streaming reader of tar (POSIX.1-1988 ustar, with GNU long names and base-256 numbers, which is
// what PostgreSQL's src/port/tar.c writes). Holds one block and one long name, whatever is fed.
// Error(corrupt) for anything else, hostile paths included.
class TarParser {
 public:
  TarParser(TarVisitor& visitor, std::string subject);
  void feed(std::string_view bytes);
  // Error(corrupt) unless the archive has come to its end mark (two blocks of zeros).
  void finish() const;

 private:
  enum class State { header, file, long_name, long_target, padding, ended };

  std::size_t take_header(std::string_view bytes);
  std::size_t take_body(std::string_view bytes);
  void header();
  void begin(char type, TarEntry entry);
  void begin_body(State state, std::uint64_t size);
  void end_body();
  std::uint64_t number(std::size_t at, std::size_t width) const;
  std::string text(std::size_t at, std::size_t width) const;
  [[noreturn]] void fail(const std::string& why) const;

  TarVisitor& visitor_;
  std::string subject_;
  State state_ = State::header;
  std::string block_;  // of a header that is not complete yet
  int zero_blocks_ = 0;
  std::uint64_t left_ = 0;     // of the body, or of the padding
  std::uint64_t padding_ = 0;  // after the body
  std::string long_name_, long_target_;
  std::uint64_t offset_ = 0;  // for messages
};

}  // namespace lifeboat::postgres
