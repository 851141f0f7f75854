#include "kafka/checkpoint_file.hpp"

#include <fmt/format.h>

#include <sstream>

#include "base/error.hpp"

namespace lifeboat::kafka {

// "0", the number of lines, then "topic partition offset" each.
std::vector<CheckpointLine> parse_checkpoint(const std::string& text, const std::string& subject) {
  if (text.empty()) return {};  // a broker makes it empty, before it first writes it
  std::istringstream in(text);
  std::vector<CheckpointLine> lines;
  int version = -1;
  std::size_t count = 0;
  if (!(in >> version >> count) || version != 0) {
    throw Error(Code::unsupported, subject, "is not a checkpoint file of version 0");
  }
  CheckpointLine line;
  while (in >> line.partition.topic >> line.partition.partition.value >> line.offset.value) {
    lines.push_back(line);
  }
  if (lines.size() != count) {
    throw Error(Code::corrupt, subject,
                fmt::format("says {} lines and has {}", count, lines.size()),
                "start and stop the broker once, so that it writes it anew");
  }
  return lines;
}

std::string encode(const std::vector<CheckpointLine>& lines) {
  std::string text = fmt::format("0\n{}\n", lines.size());
  for (const auto& line : lines) {
    text += fmt::format("{} {} {}\n", line.partition.topic, line.partition.partition.value,
                        line.offset.value);
  }
  return text;
}

}  // namespace lifeboat::kafka
