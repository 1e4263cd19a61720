#include <cmath>
#include <vector>

#include "check.h"
#include "core/grm.h"
#include "core/markers.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

MatrixSource whole(const Matrix& X) {
  return {X, all(X.rows()), all(X.cols())};
}

Vector as_vector(const std::vector<double>& x) {
  return Eigen::Map<const Vector>(x.data(), static_cast<Index>(x.size()));
}

// The used columns of X alone.
Matrix used_columns(const Matrix& X, const std::vector<Index>& used) {
  Matrix out(X.rows(), static_cast<Index>(used.size()));
  for (std::size_t k = 0; k < used.size(); ++k)
    out.col(static_cast<Index>(k)) = X.col(used[k]);
  return out;
}

GrmOptions settings(GrmMethod method, Index block) {
  GrmOptions options;
  options.method = method;
  options.block = block;
  options.threads = 2;
  return options;
}

}  // namespace

TEST(the_products_of_markers_are_those_of_their_kernel) {
  const Matrix X = counts_with_missing(31, 83, 7);
  const Matrix A = Matrix::Random(31, 2);
  Monitor monitor;
  for (const GrmMethod method :
       {GrmMethod::centered, GrmMethod::standardized, GrmMethod::vanraden2}) {
    for (const Index block : {1, 10, 83, 100}) {
      const GrmOptions options = settings(method, block);
      auto source = whole(X);
      Matrix K(31, 31);
      const GrmCounts counts = grm(source, options, monitor, K);
      const MarkerProducts at = marker_products(source, options, A, monitor);
      CHECK(at.counts.used == counts.used);
      CHECK(static_cast<Index>(at.used.size()) == counts.used);
      const double m = static_cast<double>(counts.used);
      // other weights than ones are sums of products of bytes in K
      const double near = method == GrmMethod::centered ? 1e-10 : 1e-7;
      CHECK((at.values - m * K * A).cwiseAbs().maxCoeff() < near);

      // the effects give the values again, marker by marker
      const Matrix own = used_columns(X, at.used);
      const Vector effect = at.effects.col(1).cwiseProduct(as_vector(at.scale));
      auto again = whole(own);
      const MarkerScores scores =
          score_markers(again, as_vector(at.mean), effect, block, monitor);
      CHECK((scores.values - at.values.col(1)).cwiseAbs().maxCoeff() < 1e-10);
      CHECK(scores.observed[3] == (own.row(3).array() == own.row(3).array()).count());

      const MarkerScale scale{as_vector(at.mean), as_vector(at.scale)};
      const Matrix few = own.topRows(9);
      auto rows = whole(few);
      const CrossKernel cross = cross_kernel(rows, scale, again, scale, block, monitor);
      CHECK((cross.K - m * K.topRows(9)).cwiseAbs().maxCoeff() < near);
      CHECK((cross.diagonal - m * K.diagonal().head(9)).cwiseAbs().maxCoeff() < near);
    }
  }
}

TEST(counts_of_the_other_allele_are_recoded_by_centre_and_scale) {
  const Matrix X = counts_with_missing(20, 12, 7);
  const Matrix other = (2 - X.array()).matrix();
  const Vector mean = Vector::Constant(12, 0.9), effect = Vector::LinSpaced(12, -1, 1);
  Monitor monitor;
  auto source = whole(X);
  auto swapped = whole(other);
  const Vector values = score_markers(source, mean, effect, 5, monitor).values;
  const Vector same =
      score_markers(swapped, (2 - mean.array()).matrix(), -effect, 5, monitor).values;
  CHECK((values - same).cwiseAbs().maxCoeff() < 1e-12);
}
