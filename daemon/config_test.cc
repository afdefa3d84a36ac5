#include "daemon/config.h"

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::daemon {
namespace {

using ::testing::HasSubstr;

std::string ProblemOf(const std::string& text) {
  const auto config = ParseConfig(text, "kiln.toml");
  return config.ok() ? "accepted" : std::string(config.status().message());
}

// deploy/kiln.toml with its keys un-commented; tests run from the source folder.
std::string AnnotatedExample(bool uncomment) {
  std::ifstream file("deploy/kiln.toml");
  EXPECT_TRUE(file.good()) << "deploy/kiln.toml is not readable from here";
  std::string result;
  for (std::string line; std::getline(file, line);) {
    // "#key = value" and "#[[table]]" are keys, "# text" is prose.
    if (uncomment && line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
    absl::StrAppend(&result, line, "\n");
  }
  return result;
}

TEST(ConfigTest, EmptyFileGivesTheDefaults) {
  const auto config = ParseConfig("", "kiln.toml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->socket, "/run/kiln/kilnd.sock");
  EXPECT_EQ(config->socket_mode, 0660u);
  EXPECT_EQ(config->baud_rate, 921600u);
  EXPECT_EQ(config->metrics_address, "127.0.0.1:9464");
  EXPECT_FALSE(config->failpoints);
}

TEST(ConfigTest, AnnotatedExampleIsAcceptedAsShipped) {
  const auto config = ParseConfig(AnnotatedExample(false), "deploy/kiln.toml");
  ASSERT_TRUE(config.ok()) << config.status();
}

TEST(ConfigTest, AnnotatedExampleNamesTheRealDefaults) {
  const auto example = ParseConfig(AnnotatedExample(true), "deploy/kiln.toml");
  ASSERT_TRUE(example.ok()) << example.status();
  const Config defaults;
  EXPECT_EQ(example->station_id, defaults.station_id);
  EXPECT_EQ(example->state_directory, defaults.state_directory);
  EXPECT_EQ(example->export_directory, defaults.export_directory);
  EXPECT_EQ(example->temp_directory, defaults.temp_directory);
  EXPECT_EQ(example->time_zone, defaults.time_zone);
  EXPECT_EQ(example->socket, defaults.socket);
  EXPECT_EQ(example->socket_mode, defaults.socket_mode);
  EXPECT_EQ(example->log_level, defaults.log_level);
  EXPECT_EQ(example->minimum_free_mib, defaults.minimum_free_mib);
  EXPECT_EQ(example->drain_timeout, defaults.drain_timeout);
  EXPECT_EQ(example->deployed_by, defaults.deployed_by);
  EXPECT_EQ(example->baud_rate, defaults.baud_rate);
  EXPECT_EQ(example->stub_directory, defaults.stub_directory);
  EXPECT_EQ(example->max_pending, defaults.max_pending);
  EXPECT_EQ(example->timeouts.prepare, defaults.timeouts.prepare);
  EXPECT_EQ(example->timeouts.connect, defaults.timeouts.connect);
  EXPECT_EQ(example->timeouts.identify, defaults.timeouts.identify);
  EXPECT_EQ(example->timeouts.flash, defaults.timeouts.flash);
  EXPECT_EQ(example->timeouts.verify, defaults.timeouts.verify);
  EXPECT_EQ(example->timeouts.boot, defaults.timeouts.boot);
  EXPECT_EQ(example->timeouts.confirm, defaults.timeouts.confirm);
  EXPECT_EQ(example->timeouts.export_record, defaults.timeouts.export_record);
  EXPECT_EQ(example->replug_window, defaults.replug_window);
  EXPECT_EQ(example->max_replugs, defaults.max_replugs);
  EXPECT_EQ(example->any_takes_used_boards, defaults.any_takes_used_boards);
  EXPECT_EQ(example->max_running, defaults.max_running);
  EXPECT_EQ(example->max_running_per_hub, defaults.max_running_per_hub);
  EXPECT_EQ(example->batch_ports.allow, defaults.batch_ports.allow);
  EXPECT_EQ(example->batch_ports.deny, defaults.batch_ports.deny);
  EXPECT_EQ(example->confirm.clean_boot_window, defaults.confirm.clean_boot_window);
  EXPECT_EQ(example->confirm.serial, defaults.confirm.serial);
  EXPECT_EQ(example->confirm.http, defaults.confirm.http);
  EXPECT_EQ(example->confirm.ip, defaults.confirm.ip);
  EXPECT_EQ(example->confirm.http_tries, defaults.confirm.http_tries);
  EXPECT_EQ(example->confirm.http_timeout, defaults.confirm.http_timeout);
  EXPECT_EQ(example->identity.ssid_pattern, defaults.identity.ssid_pattern);
  EXPECT_EQ(example->identity.password_length, defaults.identity.password_length);
  EXPECT_EQ(example->firmware.max_package_bytes, defaults.firmware.max_package_bytes);
  EXPECT_EQ(example->firmware.max_unpacked_bytes, defaults.firmware.max_unpacked_bytes);
  EXPECT_EQ(example->firmware.max_files, defaults.firmware.max_files);
  EXPECT_EQ(example->metrics_address, defaults.metrics_address);
  EXPECT_EQ(example->tls.address, defaults.tls.address);
  EXPECT_EQ(example->failpoints, defaults.failpoints);
  const auto mappings = identity::DefaultNvsMappings();
  ASSERT_EQ(example->identity.nvs.size(), mappings.size());
  for (size_t i = 0; i < mappings.size(); ++i) {
    EXPECT_EQ(example->identity.nvs[i].nvs_namespace, mappings[i].nvs_namespace) << i;
    EXPECT_EQ(example->identity.nvs[i].key, mappings[i].key) << i;
    EXPECT_EQ(example->identity.nvs[i].value, mappings[i].value) << i;
  }
  ASSERT_EQ(example->ports.size(), 2u);
  EXPECT_EQ(example->ports[1].usb_driver, defaults.usb.usb_driver);
  EXPECT_EQ(example->usb.usb_driver, defaults.usb.usb_driver);
  EXPECT_EQ(example->ports[0].alias, "A1");
}

TEST(ConfigTest, EachWrongValueIsNamedWithItsLine) {
  struct Case {
    std::string text;
    std::string want;
  };
  const Case cases[] = {
      {"[station]\nid = 7", "kiln.toml:2: station.id must be a string"},
      {"[station]\nid = \"a b\"", "kiln.toml:2: station.id must be 1 to 63 letters"},
      {"[station]\nstate_directory = \"x\"", "2: station.state_directory must be an absolute path"},
      {"[station]\nexport_directory = \"~/x\"",
       "station.export_directory must be an absolute path"},
      {"[station]\ntemp_directory = \"\"", "station.temp_directory must be an absolute path"},
      {"[station]\ntime_zone = \"Mars/Base\"", "station.time_zone must be a time zone"},
      {"[station]\nsocket = \"kilnd.sock\"", "station.socket must be an absolute path"},
      {"[[port]]\nname = \"a\"\nalias = \"b\"\nreset = \"R1|X\"",
       "kiln.toml:4: port.reset is no reset sequence: character 4: D, R, U or W belongs here"},
      {"[[port]]\nname = \"a\"\nbaud_rate = 300",
       "port.baud_rate must be a whole number from 9600"},
      {absl::StrCat("[station]\nsocket = \"/", std::string(120, 's'), "\""),
       "station.socket must be at most 107 bytes"},
      {"[station]\nsocket_mode = \"0999\"", "station.socket_mode must be four octal digits"},
      {"[station]\nsocket_mode = 660", "station.socket_mode must be a string"},
      {"[station]\nlog_level = \"loud\"", "station.log_level must be debug, info, warn or error"},
      {"[station]\nminimum_free_mib = -1",
       "station.minimum_free_mib must be a whole number from 0"},
      {"[station]\ndrain_timeout = 30", "station.drain_timeout must be a duration"},
      {"[station]\ndrain_timeout = \"2h\"", "station.drain_timeout must be a duration"},
      {"[station]\ndeployed_by = \"\"", "station.deployed_by must not be empty"},
      {"[station]\nsocket_group = 5", "station.socket_group must be a string"},
      {"station = 1", "kiln.toml:1: station must be a table"},
      {"[port]\nname = \"a\"", "write [[port]] with two brackets"},
      {"[[port]]\naddress = \"/dev/ttyUSB0\"", "port.name is missing"},
      {"[[port]]\nname = \"a\"", "port.address is missing"},
      {"[[port]]\nname = \"any\"\naddress = \"/dev/x\"", "port.name must not be \"any\""},
      {"[[port]]\nname = \"a\"\naddress = \"COM3\"", "port.address must be /dev/..."},
      {"[[port]]\nname = \"a\"\naddress = \"socket://host\"", "port.address must be /dev/..."},
      {"[[port]]\nname=\"a\"\naddress=\"/dev/x\"\n[[port]]\nname=\"a\"\naddress=\"/dev/y\"",
       "kiln.toml:5: port.name \"a\" is taken by another port"},
      {"[[port]]\nname=\"a\"\naddress=\"/dev/x\"\n[[port]]\nname=\"b\"\nalias=\"a\"\naddress=\"/"
       "dev/y\"",
       "kiln.toml:6: port.alias \"a\" is taken by another port"},
      {"[[port]]\nname = \"a\"\naddress = \"/dev/x\"\nusb_driver = \"user\"",
       "kiln.toml:4: port.usb_driver is for ports found on the USB bus"},
      {"[[port]]\nname = \"usb-1-2\"\nusb_driver = \"libusb\"",
       "port.usb_driver must be \"auto\", \"user\" or \"kernel\""},
      {"[usb]\nusb_driver = true", "usb.usb_driver must be a string"},
      {"[usb]\nusb_driver = \"\"", "usb.usb_driver must be \"auto\""},
      {"[usb]\nallow_ports = \"usb-1-2\"", "usb.allow_ports must be a list of at most 64 strings"},
      {"[usb]\nallow_ports = [1]", "usb.allow_ports must hold strings"},
      {"[usb]\ndeny_ports = [\"usb-1-2\",\n\"usb 1\"]",
       "kiln.toml:3: usb.deny_ports must hold names of ports"},
      {"[usb]\nallow_ids = [\"10c4\"]", "usb.allow_ids must hold vendor and product"},
      {"[usb]\ndeny_ids = [\"10c4:xxxx\"]", "usb.deny_ids must hold vendor and product"},
      {"[usb]\ndriver = \"auto\"", "kiln.toml:2: unknown key usb.driver"},
      {"[flash]\nbaud_rate = 300", "flash.baud_rate must be a whole number from 9600 to 12000000"},
      {"[flash]\nbaud_rate = \"fast\"", "flash.baud_rate must be a whole number"},
      {"[flash]\nstub_directory = \"stubs\"", "flash.stub_directory must be an absolute path"},
      {"[pipeline]\nmax_pending = 0", "pipeline.max_pending must be a whole number from 1"},
      {"[pipeline]\nprepare_timeout = \"0s\"", "pipeline.prepare_timeout must be a duration"},
      {"[pipeline]\nconnect_timeout = \"x\"", "pipeline.connect_timeout must be a duration"},
      {"[pipeline]\nidentify_timeout = 1", "pipeline.identify_timeout must be a duration"},
      {"[pipeline]\nflash_timeout = \"3h\"", "pipeline.flash_timeout must be a duration"},
      {"[pipeline]\nverify_timeout = \"-1s\"", "pipeline.verify_timeout must be a duration"},
      {"[pipeline]\nboot_timeout = \"inf\"", "pipeline.boot_timeout must be a duration"},
      {"[pipeline]\nconfirm_timeout = true", "pipeline.confirm_timeout must be a duration"},
      {"[pipeline]\nexport_timeout = \"\"", "pipeline.export_timeout must be a duration"},
      {"[pipeline]\nreplug_window = \"1h\"", "pipeline.replug_window must be a duration"},
      {"[pipeline]\nmax_replugs = -1", "pipeline.max_replugs must be a whole number"},
      {"[pipeline]\nmax_running = -1", "pipeline.max_running"},
      {"[batches]\nallow_ports = [\"usb 1\"]", "batches.allow_ports must hold names of ports"},
      {"[pipeline]\nany_takes_used_boards = 1", "any_takes_used_boards must be true or false"},
      {"[confirm]\nclean_boot_window = 5", "confirm.clean_boot_window must be a duration"},
      {"[confirm]\nserial = \"yes\"", "confirm.serial must be true or false"},
      {"[confirm]\nhttp = 1", "confirm.http must be true or false"},
      {"[confirm]\nip = \"1.2.3.4/evil\"", "confirm.ip must be an IP address"},
      {"[confirm]\nhttp_tries = 0", "confirm.http_tries must be a whole number"},
      {"[confirm]\nhttp_timeout = \"1ms\"", "confirm.http_timeout must be a duration"},
      {"[identity]\nssid_pattern = \"\"", "identity.ssid_pattern must not be empty"},
      {"[identity]\npassword_length = 8",
       "identity.password_length must be a whole number from 12"},
      {"[[identity.nvs]]\nnamespace = \"kiln\"\nkey = \"a\"", "identity.nvs.value is missing"},
      {"[identity]\nssid_pattern = \"{nonsense}\"", "identity: "},
      {"[firmware]\nmax_package_mib = 0", "firmware.max_package_mib must be a whole number"},
      {"[firmware]\nmax_unpacked_mib = 9999", "firmware.max_unpacked_mib must be a whole number"},
      {"[firmware]\nmax_files = \"many\"", "firmware.max_files must be a whole number"},
      {"[metrics]\naddress = \"9464\"", "metrics.address must be \"host:port\""},
      {"[metrics]\naddress = \"127.0.0.1:99999\"", "metrics.address must be \"host:port\""},
      {"[tls]\naddress = \"0.0.0.0:7443\"", "tls.certificate_file is needed"},
      {"[tls]\nkey_file = \"key.pem\"", "tls.key_file must be an absolute path"},
      {"[tls]\nclient_ca_file = \"ca\"", "tls.client_ca_file must be an absolute path"},
      {"[testing]\nfailpoints = \"on\"", "testing.failpoints must be true or false"},
      {"[station]\ncolour = \"red\"", "kiln.toml:2: unknown key station.colour"},
      {"[[port]]\nname=\"a\"\naddress=\"/dev/x\"\nspeed=1", "kiln.toml:4: unknown key port.speed"},
      {"\n\n[pipelin]\n", "kiln.toml:3: unknown key pipelin"},
      {"[station]\nid = \"a\\u0000b\"", "station.id must not hold a NUL"},
      {"[station\n", "kiln.toml:1: "},
      {"x = \"\xff\"", "kiln.toml:1: "},
  };
  for (const Case& c : cases) EXPECT_THAT(ProblemOf(c.text), HasSubstr(c.want)) << c.text;
}

TEST(ConfigTest, EveryProblemIsListedInTheOrderOfTheFile) {
  const std::string problems =
      ProblemOf("[flash]\nbaud_rate = 1\nspeed = 2\n[station]\nid = \"\"\n");
  const std::vector<std::string> lines = absl::StrSplit(problems, '\n');
  ASSERT_EQ(lines.size(), 3u) << problems;
  EXPECT_THAT(lines[0], HasSubstr(":2: flash.baud_rate"));
  EXPECT_THAT(lines[1], HasSubstr(":3: unknown key flash.speed"));
  EXPECT_THAT(lines[2], HasSubstr(":5: station.id"));
}

TEST(ConfigTest, ValuesArriveWhereTheyBelong) {
  const auto config = ParseConfig(R"(
[station]
id = "bkk-1"
socket_mode = "0600"
[[port]]
name = "sim-1"
alias = "A1"
address = "pty:///tmp/sim/A1"
[[port]]
name = "usb-1-2.3"
usb_driver = "kernel"
[usb]
usb_driver = "user"
deny_ports = ["usb-3-*", "usb-1-1"]
allow_ids = ["10c4:EA60"]
[pipeline]
flash_timeout = "1m30s"
[firmware]
max_package_mib = 2
[[identity.nvs]]
namespace = "app"
key = "owner"
value = "{customer_id}"
[testing]
failpoints = true
)",
                                  "kiln.toml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->station_id, "bkk-1");
  EXPECT_EQ(config->socket_mode, 0600u);
  ASSERT_EQ(config->ports.size(), 2u);
  EXPECT_EQ(config->ports[0].address, "pty:///tmp/sim/A1");
  EXPECT_EQ(config->ports[1].usb_driver, "kernel");
  EXPECT_EQ(config->usb.usb_driver, "user");
  EXPECT_THAT(config->usb.deny_ports, ::testing::ElementsAre("usb-3-*", "usb-1-1"));
  EXPECT_THAT(config->usb.allow_ids, ::testing::ElementsAre("10c4:EA60"));
  EXPECT_EQ(config->timeouts.flash, absl::Seconds(90));
  EXPECT_EQ(config->firmware.max_package_bytes, uint64_t{2} << 20);
  ASSERT_EQ(config->identity.nvs.size(), 1u);
  EXPECT_EQ(config->identity.nvs[0].key, "owner");
  EXPECT_TRUE(config->failpoints);
}

TEST(ConfigTest, MissingFileIsNotFound) {
  const auto config = ReadConfig("/nonexistent/kiln.toml");
  EXPECT_EQ(config.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("/nonexistent/kiln.toml"));
}

}  // namespace
}  // namespace kiln::daemon
