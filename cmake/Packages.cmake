# The Debian packages: kilnd (the station as a service), kiln (the command line), kiln-gateway (REST and the page) and
# kiln-sim (boards made of software). scripts/packages builds them; what a package does on a host stands in
# deploy/debian. Installed paths are the distribution's, so they are given from the root on.
set(KILN_STUBS "${CMAKE_SOURCE_DIR}/.cache/stubs" CACHE PATH "Stub loaders that scripts/fetch-stubs has fetched")
set(deploy ${CMAKE_SOURCE_DIR}/deploy)
# What scripts/packages makes before: completion, changelog, copyright, the gateway.
set(made ${CMAKE_BINARY_DIR}/packaging)

install(TARGETS kilnd RUNTIME DESTINATION usr/bin COMPONENT kilnd)
install(FILES ${deploy}/kiln.toml DESTINATION etc/kiln COMPONENT kilnd)
install(FILES ${deploy}/systemd/kilnd.service ${deploy}/systemd/kiln-backup.service ${deploy}/systemd/kiln-backup.timer
  DESTINATION usr/lib/systemd/system COMPONENT kilnd)
install(FILES ${deploy}/udev/90-kiln.rules DESTINATION usr/lib/udev/rules.d COMPONENT kilnd)
install(FILES ${deploy}/sysusers/kiln.conf DESTINATION usr/lib/sysusers.d COMPONENT kilnd)
install(FILES ${deploy}/tmpfiles/kiln.conf DESTINATION usr/lib/tmpfiles.d COMPONENT kilnd)
install(DIRECTORY ${KILN_STUBS}/ DESTINATION usr/share/kiln/stubs COMPONENT kilnd FILES_MATCHING PATTERN "*.json")
install(DIRECTORY ${deploy}/prometheus ${deploy}/grafana DESTINATION usr/share/doc/kilnd/monitoring COMPONENT kilnd
  PATTERN make-dashboard EXCLUDE PATTERN "*.test.yml" EXCLUDE)
install(FILES docs/errors.md docs/operations.md docs/troubleshooting.md DESTINATION usr/share/doc/kilnd COMPONENT kilnd
  OPTIONAL)

install(TARGETS kiln RUNTIME DESTINATION usr/bin COMPONENT kiln)
install(FILES ${made}/kiln.bash DESTINATION usr/share/bash-completion/completions RENAME kiln COMPONENT kiln)

install(PROGRAMS ${CMAKE_BINARY_DIR}/bin/kiln-gateway DESTINATION usr/bin COMPONENT gateway)
install(FILES ${deploy}/gateway.env DESTINATION etc/kiln COMPONENT gateway)
install(FILES ${deploy}/systemd/kiln-gateway.service DESTINATION usr/lib/systemd/system COMPONENT gateway)
install(FILES ${deploy}/sysusers/kiln-gateway.conf DESTINATION usr/lib/sysusers.d COMPONENT gateway)

install(TARGETS kiln-sim RUNTIME DESTINATION usr/bin COMPONENT sim)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "Kiln")
set(CPACK_PACKAGE_CONTACT "Kiln <maintainers@kiln.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX "/")
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL kilnd kiln gateway sim)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# kiln_package(COMPONENT name SECTION section SUMMARY line TEXT description [LIBRARIES] [DEPENDS …] [RECOMMENDS …]
# [SCRIPTS …]): LIBRARIES has dpkg-shlibdeps find what the programs are linked to.
function(kiln_package component)
  cmake_parse_arguments(ARG "LIBRARIES" "NAME;SECTION;SUMMARY;TEXT;DEPENDS;RECOMMENDS" "SCRIPTS" ${ARGN})
  string(TOUPPER ${component} key)
  set(values
    PACKAGE_NAME "${ARG_NAME}" PACKAGE_SECTION "${ARG_SECTION}" PACKAGE_DEPENDS "${ARG_DEPENDS}"
    PACKAGE_RECOMMENDS "${ARG_RECOMMENDS}" PACKAGE_SHLIBDEPS "${ARG_LIBRARIES}")
  while(values)
    list(POP_FRONT values name)
    list(POP_FRONT values value)
    set(CPACK_DEBIAN_${key}_${name} "${value}" PARENT_SCOPE)
  endwhile()
  set(CPACK_COMPONENT_${key}_DESCRIPTION "${ARG_SUMMARY}\n${ARG_TEXT}" PARENT_SCOPE)
  list(TRANSFORM ARG_SCRIPTS PREPEND ${deploy}/debian/${ARG_NAME}/)
  set(CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA "${ARG_SCRIPTS}" PARENT_SCOPE)
  install(FILES ${made}/changelog.Debian.gz ${made}/copyright DESTINATION usr/share/doc/${ARG_NAME}
    COMPONENT ${component})
  install(FILES ${made}/overrides/${ARG_NAME} DESTINATION usr/share/lintian/overrides COMPONENT ${component} OPTIONAL)
endfunction()

kiln_package(kilnd NAME kilnd SECTION admin LIBRARIES
  SUMMARY "station daemon that writes ESP32 boards"
  TEXT "Turns blank ESP32 boards into finished, recorded products: each board at\na USB port gets its identity and its firmware, is verified, and leaves a\nrecord. This package is the service, with its nightly backup."
  DEPENDS "kiln (= ${PROJECT_VERSION}-1), init-system-helpers (>= 1.54~), systemd, udev, tzdata"
  RECOMMENDS "kiln-gateway"
  SCRIPTS conffiles postinst prerm postrm)
kiln_package(kiln NAME kiln SECTION utils LIBRARIES
  SUMMARY "command line of a Kiln station"
  TEXT "Orders and watches deployments, imports firmware, backs a station up and\nrestores it, and lends a board at this computer's port to a station\nelsewhere.")
kiln_package(gateway NAME kiln-gateway SECTION admin
  SUMMARY "REST and the operators' page of a Kiln station"
  TEXT "Serves the page at which operators work, a REST interface and the stream\nof events for browsers and scripts."
  DEPENDS "init-system-helpers (>= 1.54~), systemd"
  RECOMMENDS "kilnd"
  SCRIPTS conffiles postinst prerm postrm)
kiln_package(sim NAME kiln-sim SECTION utils LIBRARIES
  SUMMARY "ESP32 boards made of software for Kiln"
  TEXT "Boards that speak the real loaders' protocol on pseudo-terminals or on the\nkernel's virtual USB, for demonstrations, training and tests."
  RECOMMENDS "kilnd")

include(CPack)
