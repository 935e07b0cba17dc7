// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "train/watchdog/side_channel.hpp"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "tessera/comm/collectives.hpp"

namespace tessera::train {

namespace {

constexpr std::size_t at_the_same_time = 64;  // ranks asked: a process may have some thousand connections
constexpr std::size_t most_visits = 256;
constexpr SideChannel::Milliseconds time_for_visit{2000};

in6_addr mapped(in_addr address) {
  in6_addr wide{};
  wide.s6_addr[10] = wide.s6_addr[11] = 0xff;
  std::memcpy(&wide.s6_addr[12], &address, sizeof(address));
  return wide;
}

/// Addresses by which other hosts may reach this one, IPv4 first, and that of the host itself where there is
/// no other.
void find_addresses(Endpoint& endpoint) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return;
  auto const add = [&](in6_addr const& address) {
    if (endpoint.count < Endpoint::most_addresses) endpoint.addresses[endpoint.count++] = address;
  };
  for (int const family : {AF_INET, AF_INET6}) {
    for (auto const* one = list; one != nullptr; one = one->ifa_next) {
      if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != family) continue;
      if ((one->ifa_flags & IFF_LOOPBACK) != 0 || (one->ifa_flags & IFF_UP) == 0) continue;
      if (family == AF_INET) {
        add(mapped(reinterpret_cast<sockaddr_in const*>(one->ifa_addr)->sin_addr));
      } else {
        auto const& address = reinterpret_cast<sockaddr_in6 const*>(one->ifa_addr)->sin6_addr;
        if (!IN6_IS_ADDR_LINKLOCAL(&address)) add(address);
      }
    }
  }
  freeifaddrs(list);
  if (endpoint.count == 0) add(mapped({htonl(INADDR_LOOPBACK)}));
}

}  // namespace

/// One attempt to ask one rank at one of its addresses.
class SideChannel::Attempt {
 public:
  Attempt(std::size_t target, Endpoint const& endpoint, std::size_t address, std::string letter)
      : target_(target), letter_(std::move(letter)) {
    auto const& to = endpoint.addresses[address];
    bool const old = IN6_IS_ADDR_V4MAPPED(&to);
    file_ = socket(old ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (file_ < 0) return;
    int result = 0;
    if (old) {
      sockaddr_in name{};
      name.sin_family = AF_INET;
      name.sin_port = htons(static_cast<std::uint16_t>(endpoint.port));
      std::memcpy(&name.sin_addr, &to.s6_addr[12], sizeof(name.sin_addr));
      result = connect(file_, reinterpret_cast<sockaddr const*>(&name), sizeof(name));
    } else {
      sockaddr_in6 name{};
      name.sin6_family = AF_INET6;
      name.sin6_port = htons(static_cast<std::uint16_t>(endpoint.port));
      name.sin6_addr = to;
      result = connect(file_, reinterpret_cast<sockaddr const*>(&name), sizeof(name));
    }
    if (result != 0 && errno != EINPROGRESS) stop();
  }
  Attempt(Attempt const&) = delete;
  Attempt& operator=(Attempt const&) = delete;
  ~Attempt() { stop(); }

  [[nodiscard]] std::size_t target() const noexcept { return target_; }
  [[nodiscard]] bool open() const noexcept { return file_ >= 0; }
  [[nodiscard]] pollfd wish() const noexcept {
    return {file_, static_cast<short>(letter_.empty() ? POLLIN : POLLOUT), 0};
  }
  /// Moves on. Gives the answer once it is whole.
  std::optional<std::string> advance() {
    if (!letter_.empty()) {
      auto const sent = send(file_, letter_.data(), letter_.size(), MSG_NOSIGNAL);
      if (sent < 0) return failed();
      letter_.erase(0, static_cast<std::size_t>(sent));
      return std::nullopt;
    }
    std::array<char, 65536> part;
    auto const got = recv(file_, part.data(), part.size(), 0);
    if (got < 0) return failed();
    answer_.append(part.data(), static_cast<std::size_t>(got));
    std::uint64_t size = 0;
    if (answer_.size() >= sizeof(size)) std::memcpy(&size, answer_.data(), sizeof(size));
    if (answer_.size() >= sizeof(size) && answer_.size() - sizeof(size) >= size) {
      stop();
      return answer_.substr(sizeof(size), size);
    }
    if (got == 0) stop();
    return std::nullopt;
  }

 private:
  std::optional<std::string> failed() {
    if (errno != EAGAIN && errno != EINTR) stop();
    return std::nullopt;
  }
  void stop() noexcept {
    if (file_ >= 0) close(file_);
    file_ = -1;
  }

  std::size_t target_;
  std::string letter_, answer_;
  int file_ = -1;
};

/// One who asks.
class SideChannel::Visit {
 public:
  explicit Visit(int file) : file_(file) {}
  Visit(Visit const&) = delete;
  Visit& operator=(Visit const&) = delete;
  ~Visit() { close(file_); }

  [[nodiscard]] bool over() const noexcept { return over_ || Clock::now() > end_; }
  [[nodiscard]] pollfd wish() const noexcept {
    return {file_, static_cast<short>(answer_.empty() ? POLLIN : POLLOUT), 0};
  }
  /// `reply`: what to say to a whole letter, if anything.
  template <class Reply>
  void advance(Reply const& reply) {
    if (answer_.empty()) {
      auto const got = recv(file_, reinterpret_cast<char*>(&letter_) + got_, sizeof(letter_) - got_, 0);
      if (got <= 0) return failed(got);
      got_ += static_cast<std::size_t>(got);
      if (got_ < sizeof(letter_)) return;
      std::optional<std::string> const text = reply(letter_);
      over_ = !text;
      if (over_) return;
      std::uint64_t const size = text->size();
      answer_ = std::string(reinterpret_cast<char const*>(&size), sizeof(size)) + *text;
    }
    auto const sent = send(file_, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    if (sent <= 0) return failed(sent);
    answer_.erase(0, static_cast<std::size_t>(sent));
    over_ = answer_.empty();
  }

 private:
  void failed(ssize_t moved) noexcept { over_ = moved == 0 || (errno != EAGAIN && errno != EINTR); }

  int file_;
  Clock::time_point end_ = Clock::now() + time_for_visit;
  Letter letter_;
  std::size_t got_ = 0;
  std::string answer_;
  bool over_ = false;
};

SideChannel::SideChannel(comm::Communicator& world) : rank_(world.rank()) {
  listen();
  Endpoint own;
  find_addresses(own);
  sockaddr_storage name{};
  socklen_t length = sizeof(name);
  if (listener_ >= 0 && getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &length) == 0) {
    // The port stands at the same place in both kinds of name.
    own.port = ntohs(reinterpret_cast<sockaddr_in const*>(&name)->sin_port);
  }
  endpoints_.resize(static_cast<std::size_t>(world.size()));
  world.all_gather(&own, endpoints_.data(), sizeof(own), DType::u8, {}).wait_host();
  std::random_device random;
  for (auto& word : secret_) word = std::uint64_t{random()} << 32 | random();
  broadcast(world, secret_, 0).wait_host();
}

SideChannel::~SideChannel() {
  if (listener_ >= 0) close(listener_);
}

void SideChannel::listen() {
  listener_ = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int const no = 0;
  if (listener_ >= 0) {
    setsockopt(listener_, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    if (bind(listener_, reinterpret_cast<sockaddr const*>(&any), sizeof(any)) == 0 &&
        ::listen(listener_, SOMAXCONN) == 0) {
      return;
    }
    close(listener_);
  }
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  if (bind(listener_, reinterpret_cast<sockaddr const*>(&any), sizeof(any)) == 0 &&
      ::listen(listener_, SOMAXCONN) == 0) {
    return;
  }
  close(listener_);
  listener_ = -1;
}

/// Moves all attempts on until each target has answered, none is left, or the time is over.
void SideChannel::converse(std::vector<std::unique_ptr<Attempt>>& attempts,
                           std::vector<std::optional<std::string>>& answers, Clock::time_point end,
                           Answer const& answer) {
  while (true) {
    std::erase_if(attempts,
                  [&](auto const& one) { return !one->open() || answers[one->target()].has_value(); });
    auto const left = std::chrono::duration_cast<Milliseconds>(end - Clock::now()).count();
    if (attempts.empty() || left <= 0) return;
    std::vector<pollfd> wishes;
    for (auto const& one : attempts) wishes.push_back(one->wish());
    add_wishes(wishes);
    if (poll(wishes.data(), wishes.size(), static_cast<int>(left)) <= 0) continue;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      if (wishes[i].revents == 0) continue;
      if (auto text = attempts[i]->advance()) answers[attempts[i]->target()] = std::move(text);
    }
    serve(std::span(wishes).subspan(attempts.size()), answer);
  }
}

std::vector<std::optional<std::string>> SideChannel::ask(std::span<int const> ranks, Question question,
                                                         Milliseconds time, Answer const& answer) {
  std::vector<std::optional<std::string>> answers(ranks.size());
  for (std::size_t first = 0; first < ranks.size(); first += at_the_same_time) {
    std::vector<std::unique_ptr<Attempt>> attempts;
    for (std::size_t i = first; i < std::min(ranks.size(), first + at_the_same_time); ++i) {
      Letter const letter{secret_, ranks[i], question};
      auto const& endpoint = endpoints_[static_cast<std::size_t>(ranks[i])];
      if (endpoint.port == 0) continue;
      for (std::size_t address = 0; address < endpoint.count; ++address) {
        attempts.push_back(std::make_unique<Attempt>(
            i, endpoint, address, std::string(reinterpret_cast<char const*>(&letter), sizeof(letter))));
      }
    }
    converse(attempts, answers, Clock::now() + time, answer);
  }
  return answers;
}

void SideChannel::add_wishes(std::vector<pollfd>& wishes) const {
  wishes.reserve(wishes.size() + 1 + visits_.size());
  wishes.push_back({visits_.size() < most_visits ? listener_ : -1, POLLIN, 0});
  for (auto const& visit : visits_) wishes.push_back(visit->wish());
}

void SideChannel::serve(std::span<pollfd const> wishes, Answer const& answer) {
  auto const reply = [&](Letter const& letter) -> std::optional<std::string> {
    if (letter.secret != secret_ || letter.to != rank_) return std::nullopt;
    return answer(letter.question);
  };
  for (std::size_t i = 0; i < visits_.size(); ++i) {
    if (wishes[i + 1].revents != 0) visits_[i]->advance(reply);
  }
  if (wishes.front().revents != 0) {
    int const file = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (file >= 0) visits_.push_back(std::make_unique<Visit>(file));
  }
  std::erase_if(visits_, [](auto const& visit) { return visit->over(); });
}

}  // namespace tessera::train
