// Whether the data tell the components of the covariance from one another and from the
// residual variance.
//
// They do where the matrices P G_c P, G_c = dH/dpsi_c, and P are linearly independent, P
// the projection onto the residuals of least squares: that does not depend on theta.
#pragma once

#include "core/blocked.h"

namespace kinlmm {

// From the cross-products, which costs less than one evaluation. Where X leaves little of
// a G digits are lost: what looks singular here is to be looked at again.
struct ComponentProducts {
  Matrix products;  // tr(P G_c P G_d), last row and column: those with P for P G P
  Vector sizes;     // tr(G_c G_c), to compare its diagonal with
};

// X of the data is orthonormal.
ComponentProducts component_products(const BlockedData& data);

// Whether they are close to dependence.
bool doubtful(const ComponentProducts& at);

}  // namespace kinlmm
