#ifndef KILN_DAEMON_PORTS_UDEV_RULE_H_
#define KILN_DAEMON_PORTS_UDEV_RULE_H_

#include <cstdint>
#include <string>

namespace kiln::ports {

// What to tell whoever may not open a USB adapter: the rules that Kiln brings, or one for this
// adapter's node and terminals alone.
std::string UdevRuleToInstall(uint16_t vendor, uint16_t product);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_UDEV_RULE_H_
