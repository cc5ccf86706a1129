#include "slab/classes/page_balancer.h"

#include <catch2/catch.hpp>
#include <vector>

namespace larder::slab {
namespace {

constexpr std::uint64_t kNever = 1'000'000;  // Ghosts that end no round.

// Classes 1 to 3, of ten pages each.
class BalancerTest {
 public:
  std::optional<PagePlan> Round(std::uint64_t ghosts_1, std::uint64_t ghosts_2,
                                std::uint64_t ghosts_3) {
    loads_[1].near_ghosts += ghosts_1;
    loads_[2].near_ghosts += ghosts_2;
    loads_[3].near_ghosts += ghosts_3;
    stores_ += PageBalancer::kStoresPerRound;
    return balancer_.Observe(loads_, stores_, kNever);
  }
  ClassId Donor(ClassId needy, std::uint32_t pages_min = 1) {
    return balancer_.ChooseDonor(loads_, needy, ClassSet(), pages_min);
  }

 protected:
  std::vector<ClassLoad> loads_{{}, {.pages = 10}, {.pages = 10}, {.pages = 10}};
  PageBalancer balancer_;
  std::uint64_t stores_ = 0;
};

TEST_CASE_METHOD(BalancerTest, "a page goes from the lowest gain to the highest",
                 "[slab][page_balancer]") {
  const auto plan = Round(40, 100, 30);
  REQUIRE(plan);
  CHECK(plan->from == 3);
  CHECK(plan->to == 2);
  CHECK(plan->pages == 1);
}

TEST_CASE_METHOD(BalancerTest, "no page moves unless the gain is twice the donor's and one more",
                 "[slab][page_balancer]") {
  CHECK_FALSE(Round(0, 0, 10));
  CHECK_FALSE(BalancerTest().Round(100, 110, 210));
  CHECK(BalancerTest().Round(100, 110, 211));
}

TEST_CASE_METHOD(BalancerTest, "a class that is kept from others gives a page only if no other can",
                 "[slab][page_balancer]") {
  loads_[3].is_kept = true;
  const auto plan = Round(40, 100, 30);
  REQUIRE(plan);
  CHECK(plan->from == 1);
  loads_[1].is_kept = true;
  CHECK_FALSE(Round(0, 200, 0));
  CHECK(Donor(2, 2) == 0);
  CHECK(Donor(2, 1) == 3);
  // Free chunks are no loss to it.
  loads_[1].spare_pages = 1;
  CHECK(Donor(2, 2) == 1);
}

TEST_CASE_METHOD(BalancerTest, "a gain decays by a fifth each round", "[slab][page_balancer]") {
  (void)Round(0, 100, 0);
  CHECK(balancer_.gain(2) == Approx(10));
  (void)Round(0, 50, 0);
  CHECK(balancer_.gain(2) == Approx(13));
}

TEST_CASE_METHOD(BalancerTest, "a round ends with its stores, or early with much to see",
                 "[slab][page_balancer]") {
  loads_[1].near_ghosts = 49;
  CHECK_FALSE(balancer_.Observe(loads_, PageBalancer::kStoresPerRound - 1, 50));
  CHECK(balancer_.gain(1) <= 0);
  SECTION("stores") { CHECK(balancer_.Observe(loads_, PageBalancer::kStoresPerRound, 50)); }
  SECTION("ghosts") {
    loads_[1].near_ghosts = 50;
    CHECK(balancer_.Observe(loads_, 0, 50));
  }
}

TEST_CASE_METHOD(BalancerTest,
                 "large classes give and take several pages, and are compared by page",
                 "[slab][page_balancer]") {
  loads_[1].pages = 80;  // A window of 20 pages.
  loads_[2].pages = 40;
  loads_[3].pages = 40;
  const auto plan = Round(600, 0, 0);
  REQUIRE(plan);
  CHECK(plan->to == 1);
  CHECK(plan->pages == 5);  // Half the donor's window.
  // Ten times as many ghosts in ten times the window are no reason to take a page.
  BalancerTest other;
  CHECK_FALSE(other.Round(0, 10, 0));
}

TEST_CASE_METHOD(BalancerTest, "a class keeps its last page, but for one that has none",
                 "[slab][page_balancer]") {
  loads_[1].pages = 1;
  loads_[3].pages = 1;
  CHECK_FALSE(Round(0, 100, 0));
  CHECK(Donor(2, 2) == 0);
  CHECK(Donor(2) != 0);
  loads_[3].pages = 2;
  (void)Round(0, 0, 100);
  CHECK(Donor(2) == 3);  // Its gain is greater, but the other's page is the last.
}

TEST_CASE_METHOD(BalancerTest, "of equal gains the class with most pages gives one",
                 "[slab][page_balancer]") {
  loads_[2].pages = 11;
  CHECK(Donor(1) == 2);
  CHECK(Donor(2) == 1);
}

TEST_CASE_METHOD(BalancerTest, "a class with free chunks for a page is the first to give one",
                 "[slab][page_balancer]") {
  (void)Round(5, 5, 50);
  loads_[3].spare_pages = 1;
  CHECK(Donor(1) == 3);
}

TEST_CASE_METHOD(BalancerTest, "pieces are worth what their items are", "[slab][page_balancer]") {
  loads_[2].pieces_of = 3;
  (void)Round(10, 0, 100);
  CHECK(Donor(0) == 1);
}

TEST_CASE_METHOD(BalancerTest, "a class earns a floor with what it evicts",
                 "[slab][page_balancer]") {
  loads_ = {{}, {.pages = 500}, {.pages = 2}, {.pages = 498}};
  constexpr std::uint64_t kMemoryBytes = 1000 * kPageBytes;
  loads_[2].evicted_bytes = kMemoryBytes / 10;
  CHECK_FALSE(balancer_.Observe(loads_, 1, kNever));
  CHECK(balancer_.floor_pages(2) == Approx(2));
  loads_[2].evicted_bytes = kMemoryBytes / 2;
  const auto plan = balancer_.Observe(loads_, 1, kNever);
  REQUIRE(plan);
  CHECK(plan->from == 1);
  CHECK(plan->to == 2);
  CHECK(plan->pages == 7);
  // A scan of twice the memory earns four hundredths of it, and more and more a fifth.
  loads_[2].evicted_bytes = 2 * kMemoryBytes;
  (void)balancer_.Observe(loads_, 1, kNever);
  CHECK(balancer_.floor_pages(2) > 34);
  CHECK(balancer_.floor_pages(2) < 40);
  for (int i = 0; i < 1000; ++i) {
    loads_[2].evicted_bytes += kMemoryBytes / 10;
    (void)balancer_.Observe(loads_, 1, kNever);
  }
  CHECK(balancer_.floor_pages(2) == Approx(200).epsilon(0.02));
  // It is forgotten when others evict.
  for (int i = 0; i < 500; ++i) {
    loads_[3].evicted_bytes += kMemoryBytes / 10;
    (void)balancer_.Observe(loads_, 1, kNever);
  }
  CHECK(balancer_.floor_pages(2) < 2);
}

TEST_CASE_METHOD(
    BalancerTest,
    "who would gain by more pages, or has no more than its floor, gives none for another floor",
    "[slab][page_balancer]") {
  loads_ = {{}, {.pages = 100}, {.pages = 5}, {.pages = 50}};
  loads_[1].near_ghosts = 1000;
  (void)balancer_.Observe(loads_, PageBalancer::kStoresPerRound, kNever);
  REQUIRE(balancer_.gain(1) > PageBalancer::kGainMargin);
  loads_[2].evicted_bytes = 155 * kPageBytes * 2;
  const auto plan = balancer_.Observe(loads_, PageBalancer::kStoresPerRound, kNever);
  REQUIRE(plan);
  CHECK(plan->from == 3);
  CHECK(plan->to == 2);
  loads_[3].evicted_bytes = 2526 * kPageBytes;
  CHECK_FALSE(balancer_.Observe(loads_, PageBalancer::kStoresPerRound, kNever));
}

TEST_CASE_METHOD(BalancerTest, "a floor counts more against a class that is not read",
                 "[slab][page_balancer]") {
  loads_ = {
      {}, {.pages = 500, .items = 1000, .hits = 100}, {.pages = 10}, {.pages = 490, .items = 1000}};
  loads_[3].hits = GENERATE(40U, 70U);
  loads_[2].evicted_bytes = 500 * kPageBytes;
  const auto plan = balancer_.Observe(loads_, 1, kNever);
  CAPTURE(balancer_.floor_pages(2));
  REQUIRE(plan.has_value() == (loads_[3].hits == 40));
  if (plan) CHECK(plan->from == 3);
}

TEST_CASE_METHOD(BalancerTest, "two classes that are not read do not take each other's pages",
                 "[slab][page_balancer]") {
  loads_ = {{},
            {.pages = 3000, .items = 1000, .hits = 1'000'000},
            {.pages = 548, .items = 1000},
            {.pages = 548, .items = 1000}};
  // Both evict, and each has earned more than it has, if floors count four times.
  for (int i = 0; i < 1000; ++i) {
    for (const std::size_t id : {std::size_t{2}, std::size_t{3}})
      loads_[id].evicted_bytes += 200 * kPageBytes;
    loads_[1].hits += 1000;
    REQUIRE_FALSE(balancer_.Observe(loads_, 1, kNever));
  }
  CHECK(balancer_.floor_pages(2) < 548);
  CHECK(PageBalancer::kIdleFactor * balancer_.floor_pages(2) > 548);
}

}  // namespace
}  // namespace larder::slab
