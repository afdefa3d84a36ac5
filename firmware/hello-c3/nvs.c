#include "firmware/hello-c3/nvs.h"

#include "firmware/hello-c3/bytes.h"

// ESP-IDF Programming Guide, "Non-Volatile Storage Library", "Internals".
enum {
  kPageSize = 4096,
  kEntrySize = 32,
  kBitmapAt = 32,
  kEntriesAt = 64,
  kEntryCount = 126,
  kVersion2 = 0xFE,
  kTypeU8 = 0x01,
  kTypeString = 0x21,
  kNameSize = 16,  // with its NUL
  kWritten = 2,    // an entry's two bits in the bitmap; 3 is empty, 0 erased
  kHeaderCrcAt = 28,
  kReadAtOnce = 64,
};
#define PAGE_ACTIVE 0xFFFFFFFEu
#define PAGE_FULL 0xFFFFFFFCu
#define PAGE_FREEING 0xFFFFFFF8u

// The header and the bitmap of one page.
struct page {
  uint32_t start;
  uint32_t sequence;
  uint8_t head[kEntriesAt];
};

// A value that may be the one: the newest of all that were seen.
struct candidate {
  int found;
  uint32_t sequence;
  uint32_t at;  // of its first entry, in the partition
  uint8_t entry[kEntrySize];
};

static int read_at(const struct nvs_source* source, uint32_t offset, void* to, uint32_t size) {
  return source->read(source->context, offset, to, size);
}

// The checksum of an entry leaves out the place where it stands itself.
static uint32_t entry_crc(const uint8_t* entry) {
  return crc32_finish(crc32_feed(crc32_feed(NVS_CRC_SEED, entry, 4), entry + 8, kEntrySize - 8));
}

// Whether `field`, 16 bytes padded with NULs, is exactly `name`.
static int is_name(const uint8_t* field, const char* name) {
  for (int i = 0; i < kNameSize; ++i) {
    if (field[i] != (uint8_t)name[i]) return 0;
    if (name[i] == '\0') return 1;
  }
  return 0;
}

static int is_written(const struct page* page, uint32_t index) {
  return (page->head[kBitmapAt + index / 4] >> (index % 4 * 2) & 3) == kWritten;
}

// Reads the page's head; *usable says whether values may be on it.
static enum nvs_result open_page(const struct nvs_source* source, uint32_t start, struct page* page,
                                 int* usable) {
  *usable = 0;
  page->start = start;
  if (!read_at(source, start, page->head, kEntriesAt)) return NVS_READ_FAILED;
  const uint32_t state = load_le32(page->head);
  page->sequence = load_le32(page->head + 4);
  const uint32_t crc = crc32_finish(crc32_feed(NVS_CRC_SEED, page->head + 4, kHeaderCrcAt - 4));
  *usable = (state == PAGE_ACTIVE || state == PAGE_FULL || state == PAGE_FREEING) &&
            page->head[8] == kVersion2 && load_le32(page->head + kHeaderCrcAt) == crc;
  return NVS_OK;
}

// Whether the text behind `entry` is whole: inside its page, written, with its NUL and its
// checksum.
static enum nvs_result check_text(const struct nvs_source* source, const struct page* page,
                                  uint32_t index, const uint8_t* entry, int* sound) {
  *sound = 0;
  const uint32_t size = load_le16(entry + 24);
  const uint32_t span = entry[2];
  if (size == 0 || span != 1 + (size + kEntrySize - 1) / kEntrySize) return NVS_OK;
  if (index + span > kEntryCount) return NVS_OK;
  for (uint32_t i = 1; i < span; ++i) {
    if (!is_written(page, index + i)) return NVS_OK;
  }
  uint32_t crc = NVS_CRC_SEED;
  uint8_t piece[kReadAtOnce];
  uint8_t last = 1;
  const uint32_t text_at = page->start + kEntriesAt + (index + 1) * kEntrySize;
  for (uint32_t done = 0; done < size;) {
    const uint32_t now = size - done < kReadAtOnce ? size - done : kReadAtOnce;
    if (!read_at(source, text_at + done, piece, now)) return NVS_READ_FAILED;
    crc = crc32_feed(crc, piece, now);
    last = piece[now - 1];
    done += now;
  }
  *sound = last == 0 && crc32_finish(crc) == load_le32(entry + 28);
  return NVS_OK;
}

// Looks for the newest sound entry of `type` called `name` in the namespace `number`.
static enum nvs_result find(const struct nvs_source* source, uint8_t number, uint8_t type,
                            const char* name, struct candidate* best) {
  best->found = 0;
  for (uint32_t start = 0; source->size_bytes - start >= kPageSize; start += kPageSize) {
    struct page page;
    int usable;
    enum nvs_result result = open_page(source, start, &page, &usable);
    if (result != NVS_OK) return result;
    if (!usable || (best->found && page.sequence < best->sequence)) continue;
    for (uint32_t index = 0; index < kEntryCount;) {
      uint8_t entry[kEntrySize];
      const uint32_t at = start + kEntriesAt + index * kEntrySize;
      if (!is_written(&page, index)) {
        ++index;
        continue;
      }
      if (!read_at(source, at, entry, kEntrySize)) return NVS_READ_FAILED;
      if (load_le32(entry + 4) != entry_crc(entry) || entry[2] == 0) {
        ++index;
        continue;
      }
      int matches = entry[0] == number && entry[1] == type && is_name(entry + 8, name);
      if (matches && type == kTypeString) {
        result = check_text(source, &page, index, entry, &matches);
        if (result != NVS_OK) return result;
      }
      if (matches) {
        best->found = 1;
        best->sequence = page.sequence;
        best->at = at;
        for (int i = 0; i < kEntrySize; ++i) best->entry[i] = entry[i];
      }
      // What follows is the entry's own data, not entries.
      index += entry[2];
    }
  }
  return best->found ? NVS_OK : NVS_NOT_FOUND;
}

enum nvs_result nvs_read_string(const struct nvs_source* source, const char* name_space,
                                const char* key, char* out, uint32_t out_size) {
  out[0] = '\0';
  struct candidate found;
  // Namespaces are entries of the namespace 0: their value is the number of theirs.
  enum nvs_result result = find(source, 0, kTypeU8, name_space, &found);
  if (result != NVS_OK) return result;
  const uint8_t number = found.entry[24];
  if (number == 0) return NVS_NOT_FOUND;
  result = find(source, number, kTypeString, key, &found);
  if (result != NVS_OK) return result;
  const uint32_t size = load_le16(found.entry + 24);
  if (size > out_size) return NVS_TOO_LONG;
  if (!read_at(source, found.at + kEntrySize, out, size)) {
    out[0] = '\0';
    return NVS_READ_FAILED;
  }
  // The flash was read twice; whatever the second reading gave ends inside `out`.
  out[size - 1] = '\0';
  return NVS_OK;
}
