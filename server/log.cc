#include "server/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

#include "slab/check.h"

namespace larder::server {
namespace {

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  LARDER_ASSERT(false && "a level without a name");
  return spdlog::level::err;
}

std::unique_ptr<spdlog::logger> MakeLogger() {
  auto logger =
      std::make_unique<spdlog::logger>("larder", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  // Which lines are written is up to those who write them: they know what -v they are for.
  logger->set_level(spdlog::level::trace);
  logger->set_pattern("%v");
  logger->set_error_handler([](const std::string&) {});
  return logger;
}

}  // namespace

void WriteLog(LogLevel level, std::string_view line) {
  // Never destroyed: threads may write until the process ends.
  static spdlog::logger& logger = *MakeLogger().release();
  logger.log(LevelOf(level), spdlog::string_view_t(line.data(), line.size()));
}

std::string Printable(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

}  // namespace larder::server
