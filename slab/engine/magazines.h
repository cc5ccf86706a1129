// Magazines: returns the content of the lanes' magazines to the classes.
#pragma once

#include "slab/classes/slab_classes.h"
#include "slab/index/index.h"

namespace larder::slab {

// Magazines empties the magazines of lanes: stocked chunks become free ones, items are queued, and
// evictions that were done through the magazine are counted.
//
// Threads:    any thread; caller locks the class.
// Owns:       nothing: a magazine belongs to its lane.
class Magazines {
 public:
  Magazines(const SlabClasses& classes, Index& index) : classes_(classes), index_(index) {}

  // Empties every magazine of the class. An item that its lane has just taken out with TakeBack
  // stays with the lane.
  void EmptyAll(SlabClass& c) const LARDER_REQUIRES(c.mutex()) {
    for (Magazine* const magazine : c.magazines()) Empty(c, *magazine, nullptr);
  }
  // Empties one magazine: the calling lane's own, with `held`, the bucket that it has locked; or
  // that of another lane, with nullptr.
  void Empty(SlabClass& c, Magazine& magazine, const Index::Guard* held) const
      LARDER_REQUIRES(c.mutex());

 private:
  const SlabClasses& classes_;
  Index& index_;
};

}  // namespace larder::slab
