// What lanes hold of the classes, given back.
#pragma once

#include "slab/classes/slab_classes.h"
#include "slab/index/index.h"

namespace larder::slab {

// Magazines empties the magazines of lanes: what is in them is queued, or a free chunk, and what
// left the cache through them is counted.
//
// Threads: any; caller locks the class.
// Owns:    nothing: a magazine belongs to its lane.
class Magazines {
 public:
  Magazines(const SlabClasses& classes, Index& index) : classes_(classes), index_(index) {}

  // Every magazine of the class. An item that a lane is just letting go stays with it.
  void EmptyAll(SlabClass& c) const LARDER_REQUIRES(c.mutex()) {
    for (Magazine* const magazine : c.magazines()) Empty(c, *magazine, nullptr);
  }
  // The caller's own, with `held`, the bucket that it has locked; or another's, without.
  void Empty(SlabClass& c, Magazine& magazine, const Index::Guard* held) const
      LARDER_REQUIRES(c.mutex());

 private:
  const SlabClasses& classes_;
  Index& index_;
};

}  // namespace larder::slab
