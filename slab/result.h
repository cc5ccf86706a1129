// Result: a value, or the reason why there is none. To be replaced by std::expected with C++23.
#pragma once

#include <utility>
#include <variant>

namespace larder {

// A reason, to be returned from a function with a Result: `return Failure{reason};`.
template <class E>
struct Failure {
  E error;
};
template <class E>
Failure(E) -> Failure<E>;

// Result holds a T, or an E that says why there is no T. It has the names of std::expected.
//
// Threads:    as T and E.
template <class T, class E>
class [[nodiscard]] Result {
 public:
  // Both constructors are implicit, so that functions can return a value or a Failure.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure<E> failure) : state_(std::in_place_index<1>, std::move(failure.error)) {}

  // True: there is a value.
  explicit operator bool() const { return state_.index() == 0; }
  // The value. Throws std::bad_variant_access if there is none. REQUIRES: there is a value.
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  // The reason. Throws std::bad_variant_access if there is none. REQUIRES: there is no value.
  const E& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, E> state_;
};

}  // namespace larder
