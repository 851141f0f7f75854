#include "cli/cli.hpp"

int main(int argc, char** argv) {
  return lifeboat::cli::run(argc, argv);
}
