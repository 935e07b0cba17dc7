// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "forwarding.hpp"
#include "tessera/comm/call.hpp"

namespace tessera::comm {

/// A decorator that treats all operations alike. `Derived` has
///   Request around(Call const& call, Start const& start)   which calls start() for the request of the inner
///   one std::unique_ptr<Communicator> decorate(std::unique_ptr<Communicator> part)   for children; never
///   null
template <class Derived>
class DescribingCommunicator : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;

  Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef stream) final {
    return self().around(Call{Operation::broadcast, type, Op::sum, root, count},
                         [&] { return inner().broadcast(buffer, count, type, root, stream); });
  }
  Request all_reduce(void const* send, void* receive, std::size_t count, DType type, Op op,
                     StreamRef stream) final {
    return self().around(Call{Operation::all_reduce, type, op, -1, count},
                         [&] { return inner().all_reduce(send, receive, count, type, op, stream); });
  }
  Request all_gather(void const* send, void* receive, std::size_t count, DType type, StreamRef stream) final {
    return self().around(Call{Operation::all_gather, type, Op::sum, -1, count},
                         [&] { return inner().all_gather(send, receive, count, type, stream); });
  }
  Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, Op op,
                         StreamRef stream) final {
    return self().around(Call{Operation::reduce_scatter, type, op, -1, count},
                         [&] { return inner().reduce_scatter(send, receive, count, type, op, stream); });
  }
  Request all_to_all(void const* send, void* receive, std::size_t count, DType type, StreamRef stream) final {
    return self().around(Call{Operation::all_to_all, type, Op::sum, -1, count},
                         [&] { return inner().all_to_all(send, receive, count, type, stream); });
  }
  Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) final {
    return self().around(Call{Operation::send, type, Op::sum, peer, count},
                         [&] { return inner().send(buffer, count, type, peer, stream); });
  }
  Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) final {
    return self().around(Call{Operation::receive, type, Op::sum, peer, count},
                         [&] { return inner().receive(buffer, count, type, peer, stream); });
  }
  Request barrier(StreamRef stream) final {
    return self().around(Call{}, [&] { return inner().barrier(stream); });
  }

  [[nodiscard]] std::unique_ptr<Communicator> split(std::optional<int> color, int key) final {
    auto part = inner().split(color, key);
    return part ? self().decorate(std::move(part)) : nullptr;
  }
  [[nodiscard]] std::unique_ptr<Communicator> duplicate() final {
    return self().decorate(inner().duplicate());
  }
  [[nodiscard]] std::unique_ptr<Communicator> split_by_node() final {
    return self().decorate(inner().split_by_node());
  }

 private:
  [[nodiscard]] Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

}  // namespace tessera::comm
