#include "daemon/ports/usb/usb_descriptors.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Device(uint16_t vendor, uint16_t product, uint16_t release) {
  return {18,
          1,
          0,
          2,
          0,
          0,
          0,
          64,
          static_cast<uint8_t>(vendor),
          static_cast<uint8_t>(vendor >> 8),
          static_cast<uint8_t>(product),
          static_cast<uint8_t>(product >> 8),
          static_cast<uint8_t>(release),
          static_cast<uint8_t>(release >> 8),
          1,
          2,
          3,
          1};
}

Bytes Configuration(uint8_t value, std::initializer_list<Bytes> parts) {
  Bytes all = {9, 2, 0, 0, 1, value, 0, 0x80, 50};
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  all[2] = static_cast<uint8_t>(all.size());
  all[3] = static_cast<uint8_t>(all.size() >> 8);
  return all;
}

Bytes Interface(uint8_t number, uint8_t interface_class, uint8_t subclass = 0,
                uint8_t alternate = 0) {
  return {9, 4, number, alternate, 2, interface_class, subclass, 0, 0};
}

Bytes Bulk(uint8_t address, uint16_t packet = 64) {
  return {7, 5, address, 2, static_cast<uint8_t>(packet), static_cast<uint8_t>(packet >> 8), 0};
}

Bytes InterruptEndpoint(uint8_t address) { return {7, 5, address, 3, 8, 0, 1}; }

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

UsbConfiguration Parse(std::initializer_list<Bytes> parts) {
  const auto parsed = ParseUsbDescriptors(Device(1, 2, 3) + Configuration(1, parts));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *parsed->Active(1) : UsbConfiguration();
}

TEST(UsbDescriptors, TellIdsAndTheActiveConfiguration) {
  const auto parsed =
      ParseUsbDescriptors(Device(0x10c4, 0xea60, 0x0100) + Configuration(1, {Interface(0, 0xff)}) +
                          Configuration(2, {Interface(5, 0xff)}));

  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->vendor, 0x10c4);
  EXPECT_EQ(parsed->product, 0xea60);
  EXPECT_EQ(parsed->release, 0x0100);
  EXPECT_EQ(parsed->Active(2)->interfaces[0].number, 5);
  EXPECT_EQ(parsed->Active(7)->interfaces[0].number, 0);
}

TEST(UsbDescriptors, FindTheEndpointsOfAMakersInterface) {
  const UsbConfiguration dual =
      Parse({Interface(0, 0xff), Bulk(0x81), Bulk(0x01), Interface(1, 0xff),
             InterruptEndpoint(0x84), Bulk(0x82, 512), Bulk(0x02, 512)});

  const auto second = FindVendorLayout(dual, 1);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->control_interface, 1);
  EXPECT_EQ(second->data_interface, 1);
  EXPECT_EQ(second->in.address, 0x82);
  EXPECT_EQ(second->in.max_packet, 512);
  EXPECT_EQ(second->out.address, 0x02);
  EXPECT_EQ(FindVendorLayout(dual, 2).status().code(), absl::StatusCode::kNotFound);
}

TEST(UsbDescriptors, FollowTheUnionToTheDataInterface) {
  const UsbConfiguration cdc =
      Parse({Interface(0, 2, 2), Bytes{5, 0x24, 0, 0x10, 1}, Bytes{5, 0x24, 6, 0, 3},
             InterruptEndpoint(0x82), Interface(1, 0x0a), Bulk(0x85), Bulk(0x05),
             Interface(3, 0x0a), Bulk(0x81), Bulk(0x01)});

  const auto layout = FindCdcLayout(cdc, 0);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->control_interface, 0);
  EXPECT_EQ(layout->data_interface, 3);
  EXPECT_EQ(layout->in.address, 0x81);
}

TEST(UsbDescriptors, FollowCallManagementWithoutAUnion) {
  const UsbConfiguration cdc =
      Parse({Interface(0, 2, 2), Bytes{5, 0x24, 1, 0, 2}, Interface(1, 0xff), Interface(2, 0x0a),
             Bulk(0x81), Bulk(0x01)});
  EXPECT_EQ(FindCdcLayout(cdc, 0)->data_interface, 2);
}

TEST(UsbDescriptors, FindTheDataInterfaceOfDevicesThatDeclareNothingTrue) {
  // The union points nowhere; the next interface has the endpoints.
  EXPECT_EQ(FindCdcLayout(Parse({Interface(0, 2, 2), Bytes{5, 0x24, 6, 0, 9}, Interface(1, 0x0a),
                                 Bulk(0x81), Bulk(0x01)}),
                          0)
                ->data_interface,
            1);
  // All in one.
  EXPECT_EQ(
      FindCdcLayout(Parse({Interface(0, 2, 2), InterruptEndpoint(0x82), Bulk(0x81), Bulk(0x01)}), 0)
          ->data_interface,
      0);
  // Somewhere else.
  EXPECT_EQ(
      FindCdcLayout(Parse({Interface(3, 2, 2), Interface(1, 0x0a), Bulk(0x81), Bulk(0x01)}), 0)
          ->data_interface,
      1);
}

TEST(UsbDescriptors, CountTheTerminalsOfACompositeDevice) {
  const UsbConfiguration cdc = Parse(
      {Interface(0, 2, 2), Bytes{5, 0x24, 6, 0, 1}, Interface(1, 0x0a), Bulk(0x81), Bulk(0x01),
       Interface(2, 2, 2), Bytes{5, 0x24, 6, 2, 3}, Interface(3, 0x0a), Bulk(0x83), Bulk(0x03)});
  EXPECT_EQ(FindCdcLayout(cdc, 1)->control_interface, 2);
  EXPECT_EQ(FindCdcLayout(cdc, 1)->data_interface, 3);
  EXPECT_FALSE(FindCdcLayout(cdc, 2).ok());
}

TEST(UsbDescriptors, PassOverAlternateSettings) {
  const UsbConfiguration configuration = Parse({Interface(0, 0xff), Bulk(0x81), Bulk(0x01),
                                                Interface(0, 0xff, 0, 1), Bulk(0x8f), Bulk(0x0f)});
  ASSERT_EQ(configuration.interfaces.size(), 1U);
  EXPECT_EQ(configuration.interfaces[0].endpoints.size(), 2U);
}

TEST(UsbDescriptors, RefuseLengthsThatDoNotFit) {
  const Bytes good = Device(1, 2, 3) + Configuration(1, {Interface(0, 0xff), Bulk(0x81)});
  ASSERT_TRUE(ParseUsbDescriptors(good).ok());
  for (size_t cut = 1; cut < good.size(); ++cut) {
    if (cut == 18) continue;  // no configuration at all
    const Bytes part(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut));
    EXPECT_EQ(ParseUsbDescriptors(part).status().code(), absl::StatusCode::kInvalidArgument) << cut;
  }
  Bytes zero = good;
  zero[27] = 0;  // the interface's length
  EXPECT_FALSE(ParseUsbDescriptors(zero).ok());
  Bytes too_short = good;
  too_short[27] = 4;
  EXPECT_FALSE(ParseUsbDescriptors(too_short).ok());
  EXPECT_FALSE(ParseUsbDescriptors({}).ok());
}

TEST(UsbDescriptors, TakeNoEndpointWithAnImpossiblePacketSize) {
  EXPECT_FALSE(FindVendorLayout(Parse({Interface(0, 0xff), Bulk(0x81, 0), Bulk(0x01)}), 0).ok());
  EXPECT_FALSE(FindVendorLayout(Parse({Interface(0, 0xff), Bulk(0x81, 2000), Bulk(0x01)}), 0).ok());
}

}  // namespace
}  // namespace kiln::ports
