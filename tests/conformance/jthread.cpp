/* SPDX-License-Identifier: Apache-2.0 */
/* C++20: std::jthread with stop tokens, stop callbacks, condition_variable_any, latch, barrier,
 * counting_semaphore, atomic wait, and exceptions that leave a scope with a running jthread.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0012~1 */
#include "check.h"
#include <atomic>
#include <barrier>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <semaphore>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

namespace
{

void stops_by_token()
{
    std::atomic<long> rounds{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; i++) {
            threads.emplace_back([&, i](std::stop_token token) {
                check_pin(i);
                while (!token.stop_requested()) {
                    rounds++;
                    std::this_thread::yield();
                }
            });
        }
        while (rounds < 1000) {
            std::this_thread::yield();
        }
    } /* the destructors request the stop and join */
    long after = rounds;
    check_sleep_ms(5);
    CHECK_EQUAL(rounds.load(), after);
}

void exception_stops_thread()
{
    std::atomic<bool> ended{false}, caught{false};
    try {
        std::jthread worker([&](std::stop_token token) {
            std::mutex mutex;
            std::unique_lock lock(mutex);
            std::condition_variable_any condition;
            CHECK(!condition.wait(lock, token, [] { return false; }));
            ended = true;
        });
        throw std::runtime_error("leaves the scope");
    } catch (const std::runtime_error &) {
        caught = true;
    }
    CHECK(caught && ended);
}

void callbacks()
{
    std::stop_source source;
    int calls = 0;
    {
        std::stop_callback first(source.get_token(), [&] { calls++; });
        std::stop_callback second(source.get_token(), [&] { calls += 10; });
        CHECK(source.request_stop());
        CHECK(!source.request_stop());
    }
    std::stop_callback late(source.get_token(), [&] { calls += 100; });
    CHECK_EQUAL(calls, 111);
}

void latch_and_barrier()
{
    constexpr int threads = 8;
    std::latch ready(threads);
    std::atomic<int> phases{0}, sum{0};
    std::barrier sync(threads, [&]() noexcept { phases++; });
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < threads; i++) {
            workers.emplace_back([&, i] {
                check_pin(i);
                ready.arrive_and_wait();
                for (int phase = 0; phase < 50; phase++) {
                    CHECK_EQUAL(phases.load(), phase);
                    sum += i;
                    sync.arrive_and_wait();
                }
            });
        }
    }
    CHECK_EQUAL(phases.load(), 50);
    CHECK_EQUAL(sum.load(), 50 * threads * (threads - 1) / 2);
}

void semaphore_and_wait()
{
    std::counting_semaphore<4> slots(2);
    std::atomic<int> inside{0}, most{0}, done{0};
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < 6; i++) {
            workers.emplace_back([&, i] {
                check_pin(i);
                for (int n = 0; n < 50; n++) {
                    slots.acquire();
                    int now = ++inside, seen = most;
                    while (now > seen && !most.compare_exchange_weak(seen, now)) {
                    }
                    std::this_thread::yield();
                    --inside;
                    slots.release();
                }
                ++done;
                done.notify_all();
            });
        }
        for (int seen = done; seen != 6; seen = done) {
            done.wait(seen);
        }
    }
    CHECK(most <= 2 && most >= 1);
    CHECK_EQUAL(done.load(), 6);
}

} // namespace

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        {"stops_by_token", stops_by_token},
        {"exception_stops_thread", exception_stops_thread},
        {"callbacks", callbacks},
        {"latch_and_barrier", latch_and_barrier},
        {"semaphore_and_wait", semaphore_and_wait},
    };
    return CHECK_MAIN(cases);
}
