// A value or the reason why there is none; becomes std::expected with C++23.
#pragma once

#include <utility>
#include <variant>

namespace larder {

template <class E>
struct Failure {
  E error;
};
template <class E>
Failure(E) -> Failure<E>;

// Offers the names of std::expected. Threads: as T and E.
template <class T, class E>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure<E> failure) : state_(std::in_place_index<1>, std::move(failure.error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const E& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, E> state_;
};

}  // namespace larder
