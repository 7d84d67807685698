// SPDX-License-Identifier: MIT
//
// The peer Boost: stacks without a loop
//
// switch is a bare boost.context, there and back being two switches; the
// others are boost.fiber with its round-robin scheduler and pooled stacks.
// Boost has no callbacks, no timers apart from fibers that sleep, and its
// sockets belong to another library. What sleeps has a mapped stack with a
// guard page, the leanest of Boost's, and the kernel allows some 32,000 of
// them.
#include <boost/context/fiber.hpp>
#include <boost/fiber/all.hpp>
#include <chrono>
#include <memory>
#include <vector>

extern "C" {
#include "peer.h"
}

namespace
{

namespace context = boost::context;
namespace fibers = boost::fibers;

using stacks = fibers::pooled_fixedsize_stack;

double raw_switch(long n)
{
    context::fiber other{[](context::fiber &&back) {
        for (;;)
            back = std::move(back).resume();
        return std::move(back);
    }};

    other = std::move(other).resume();
    const int64_t start = peer_cpu_ns();
    for (long i = 0; i < n; i += 2)
        other = std::move(other).resume();
    return peer_ns_per_op(start, n);
}

double yield(long tasks, long n)
{
    std::vector<fibers::fiber> alive;

    for (long i = 0; i < tasks; i++)
        alive.emplace_back([=] {
            for (long left = n / tasks; left > 0; left--)
                boost::this_fiber::yield();
        });
    const int64_t start = peer_cpu_ns();
    for (auto &fiber : alive)
        fiber.join();
    return peer_ns_per_op(start, n / tasks * tasks);
}

double yield2(long n)
{
    return yield(2, n);
}

double yield1000(long n)
{
    return yield(1000, n);
}

double spawn(long at_once, long n)
{
    stacks pool;
    std::vector<fibers::fiber> alive(static_cast<size_t>(at_once));
    long ran = 0;

    const int64_t start = peer_cpu_ns();
    for (long round = n / at_once; round > 0; round--) {
        for (auto &fiber : alive)
            fiber = fibers::fiber(std::allocator_arg, pool, [&] { ran++; });
        for (auto &fiber : alive)
            fiber.join();
    }
    peer_check(ran == n / at_once * at_once, "a fiber did not run");
    return peer_ns_per_op(start, ran);
}

double spawn1(long n)
{
    return spawn(1, n);
}

double spawn1000(long n)
{
    return spawn(1000, n);
}

double gather1000(long n)
{
    return spawn(1000, n);
}

double queue(long n)
{
    fibers::buffered_channel<int> there{2};
    fibers::buffered_channel<int> back{2};

    fibers::fiber other([&] {
        for (long left = n / 2; left > 0; left--)
            back.push(there.value_pop());
    });
    const int64_t start = peer_cpu_ns();
    for (long left = n / 2; left > 0; left--) {
        there.push(7);
        peer_check(back.value_pop() == 7, "another ball");
    }
    const double figure = peer_ns_per_op(start, n / 2 * 2);
    other.join();
    return figure;
}

double lock(long n)
{
    fibers::mutex mutex;

    const int64_t start = peer_cpu_ns();
    for (long left = n; left > 0; left--) {
        mutex.lock();
        mutex.unlock();
    }
    return peer_ns_per_op(start, n);
}

double rss(long n)
{
    fibers::protected_fixedsize_stack mapped;
    const size_t before = peer_resident();

    for (long i = 0; i < n; i++)
        fibers::fiber(std::allocator_arg, mapped, [] {
            boost::this_fiber::sleep_for(std::chrono::hours(1));
        }).detach();
    boost::this_fiber::yield();
    return static_cast<double>(peer_resident() - before) /
           static_cast<double>(n);
}

} // namespace

int main(int argc, char **argv)
{
    static const peer_work works[] = {
        {"switch", raw_switch, 50000000},
        {"yield2", yield2, 20000000},
        {"yield1000", yield1000, 20000000},
        {"spawn1", spawn1, 3000000},
        {"spawn1000", spawn1000, 3000000},
        {"gather1000", gather1000, 3000000},
        {"queue", queue, 5000000},
        {"lock", lock, 50000000},
        {"rss", rss, 30000},
        {nullptr, nullptr, 0},
    };

    return peer_main(argc, argv, works, nullptr);
}
