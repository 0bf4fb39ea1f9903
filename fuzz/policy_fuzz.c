/* SPDX-License-Identifier: Apache-2.0 */
/* Any rules and any frame: what the policy lets out is a frame of the machine's own MAC address and
 * of a source that a rule names, whose ports can be seen; nothing is read behind its end.
 * @verifies ATL-LLR-POLICY-0001~1 @robust */
#include "fuzz.h"

#include <policy/policy.h>

static bool is_source(const struct policy *policy, uint8_t version, const uint8_t *address)
{
    for (uint32_t i = 0; i < policy->count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        bool is_equal = rule->kind == POLICY_SOURCE && rule->version == version;
        for (uint32_t bit = 0; is_equal && bit < rule->prefix; bit++) {
            is_equal = bit < (version == 4 ? 32 : 128) &&
                       ((rule->address[bit / 8] ^ address[bit / 8]) >> (7 - bit % 8) & 1) == 0;
        }
        if (is_equal) {
            return true;
        }
    }
    return false;
}

static void check_out(const struct policy *policy, const uint8_t *head, uint32_t bytes)
{
    FUZZ_REQUIRE(bytes >= 34 && memcmp(head + 6, policy->mac, 6) == 0);
    uint32_t type = (uint32_t)head[12] << 8 | head[13];
    if (type == 0x0800) {
        FUZZ_REQUIRE(head[14] == 0x45 && (head[20] & 0x3f) == 0 && head[21] == 0);
        FUZZ_REQUIRE(is_source(policy, 4, head + 26));
    } else if (type == 0x86dd) {
        FUZZ_REQUIRE(head[14] >> 4 == 6 && is_source(policy, 6, head + 22));
    } else {
        FUZZ_REQUIRE(type == 0x0806 && bytes >= 42 && memcmp(head + 22, policy->mac, 6) == 0);
        FUZZ_REQUIRE(is_source(policy, 4, head + 28));
    }
}

/* The first byte: how many rules; then they; then the MAC address; then the frame. */
void fuzz_one(const uint8_t *data, size_t size)
{
    struct policy_rule rules[IMAGE_POLICY_RULES_MAX];
    struct policy policy = {.rules = rules};
    uint32_t count = size > 0 ? data[0] % (IMAGE_POLICY_RULES_MAX + 1) : 0;
    if (size < 1 + count * sizeof(rules[0]) + POLICY_MAC_BYTES) {
        return;
    }
    policy.count = count;
    memcpy(rules, data + 1, count * sizeof(rules[0]));
    data += 1 + count * sizeof(rules[0]);
    size -= 1 + count * sizeof(rules[0]);
    memcpy(policy.mac, data, POLICY_MAC_BYTES);
    uint32_t bytes = (uint32_t)MIN(size - POLICY_MAC_BYTES, POLICY_HEAD_BYTES);
    uint8_t *head =
        malloc(bytes + 1); /* at the end of its room: the sanitizer sees what reads on */
    memcpy(head + 1, data + POLICY_MAC_BYTES, bytes);
    if (policy_allows(&policy, head + 1, bytes, true)) {
        FUZZ_REQUIRE(count > 0);
        check_out(&policy, head + 1, bytes);
    }
    if (policy_allows(&policy, head + 1, bytes, false)) {
        FUZZ_REQUIRE(bytes >= 34);
    }
    free(head);
}
