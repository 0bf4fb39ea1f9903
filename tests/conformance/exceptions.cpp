/* SPDX-License-Identifier: Apache-2.0 */
/* C++ exceptions: across frames with destructors in order, nested and rethrown, from a std::thread
 * by std::exception_ptr, on all cores at once, std::async, and std::call_once that throws first.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0012~1 */
#include "check.h"
#include <atomic>
#include <exception>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace
{

std::string order;

struct Tracer {
    char name;
    ~Tracer()
    {
        order += name;
    }
};

[[gnu::noinline]] int descend(int level)
{
    Tracer tracer{static_cast<char>('a' + level)};
    if (level == 0) {
        throw std::out_of_range("bottom");
    }
    return descend(level - 1) + 1;
}

void across_frames()
{
    order.clear();
    bool caught = false;
    try {
        descend(5);
    } catch (const std::logic_error &error) {
        caught = std::string(error.what()) == "bottom";
    }
    CHECK(caught);
    CHECK(order == "abcdef");
}

void nested()
{
    std::string trail;
    try {
        try {
            try {
                throw 7;
            } catch (int value) {
                trail += std::to_string(value);
                std::throw_with_nested(std::runtime_error("outer"));
            }
        } catch (const std::runtime_error &error) {
            trail += error.what();
            try {
                std::rethrow_if_nested(error);
            } catch (int value) {
                trail += std::to_string(value);
            }
            throw;
        }
    } catch (...) {
        trail += "!";
    }
    CHECK(trail == "7outer7!");
    CHECK_EQUAL(std::uncaught_exceptions(), 0);
}

void from_thread()
{
    std::exception_ptr carried;
    std::thread thread([&] {
        try {
            descend(3);
        } catch (...) {
            carried = std::current_exception();
        }
    });
    thread.join();
    CHECK(carried != nullptr);
    bool caught = false;
    try {
        std::rethrow_exception(carried);
    } catch (const std::out_of_range &) {
        caught = true;
    }
    CHECK(caught);
}

[[gnu::noinline]] void throw_value(long value)
{
    if (value % 3 == 0) {
        throw value;
    }
    throw std::runtime_error(std::to_string(value));
}

void all_cores()
{
    std::vector<std::thread> threads;
    std::atomic<long> sum{0};
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([&, i] {
            check_pin(i);
            for (long n = 0; n < check_count(300); n++) {
                try {
                    throw_value(n);
                } catch (long value) {
                    sum += value;
                } catch (const std::exception &error) {
                    sum += std::stol(error.what());
                }
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    long count = check_count(300);
    CHECK_EQUAL(sum.load(), 8 * (count * (count - 1) / 2));
}

void futures()
{
    auto good = std::async(std::launch::async, [] { return 42; });
    auto bad = std::async(std::launch::async, []() -> int { throw std::runtime_error("async"); });
    CHECK_EQUAL(good.get(), 42);
    std::string what;
    try {
        bad.get();
    } catch (const std::runtime_error &error) {
        what = error.what();
    }
    CHECK(what == "async");
}

void call_once_throws()
{
    std::once_flag flag;
    int calls = 0;
    for (int i = 0; i < 5; i++) {
        try {
            std::call_once(flag, [&] {
                if (++calls < 3) {
                    throw calls;
                }
            });
        } catch (int) {
        }
    }
    CHECK_EQUAL(calls, 3);
}

} // namespace

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        {"across_frames", across_frames},
        {"nested", nested},
        {"from_thread", from_thread},
        {"all_cores", all_cores},
        {"futures", futures},
        {"call_once_throws", call_once_throws},
    };
    return CHECK_MAIN(cases);
}
