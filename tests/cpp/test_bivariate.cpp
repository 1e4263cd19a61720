#include <cstdlib>

#include "check.h"
#include "core/bivariate.h"

using namespace kinlmm;

namespace {

// Two traits of q individuals, one record each; `joint` the same without an eigenbasis.
struct Example {
  Matrix K, X, Y, U;
  Vector d;
  JointData joint;

  Example() {
    std::srand(11);
    const Index q = 30;
    const Matrix G = Matrix::Random(q, 50);
    K = G * G.transpose() / 20;
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(K);
    U = eigen.eigenvectors();
    d = eigen.eigenvalues();
    X = Matrix::Random(q, 2);
    X.col(0).setOnes();
    Y = Matrix::Random(q, 2);
    Y.col(0) += 2 * U.col(q - 1);
    Y.col(1) += U.col(q - 1) - U.col(q - 2);
    joint.K.emplace_back(K.data(), q, q);
    for (auto& rows : joint.rows) {
      for (Index i = 0; i < q; ++i) rows.push_back(i);
    }
    joint.Xy = Matrix::Zero(2 * q, 5);
    joint.Xy.block(0, 0, q, 2) = X;
    joint.Xy.block(q, 2, q, 2) = X;
    joint.Xy.col(4) << Y.col(0), Y.col(1);
  }

  PairedTraits paired() const {
    Matrix Xy(U.rows(), 4);
    Xy << U.transpose() * X, U.transpose() * Y;
    return PairedTraits(d, Xy, Matrix::Zero(4, 4), 0);
  }

  Moments moments(bool eigenbasis, const Vector& psi, Order order) const {
    return eigenbasis ? paired().moments(psi, order) : joint_moments(joint, psi, order);
  }
};

Vector psi_of(std::initializer_list<double> values) {
  return Eigen::Map<const Vector>(values.begin(), static_cast<Index>(values.size()));
}

const Vector inside = psi_of({1.2, -0.4, 0.7, 0.5, 0.2, 0.9});

// -2 log-likelihood by the definition.
double dense_value(const Matrix& V, const Matrix& Xy, bool reml) {
  const Index P = Xy.cols() - 1;
  const Matrix Vi = V.inverse(), S = Xy.transpose() * Vi * Xy;
  const Matrix XX = S.topLeftCorner(P, P);
  const Vector Xy1 = S.col(P).head(P);
  const double n = static_cast<double>(V.rows() - (reml ? P : 0));
  return std::log(V.determinant()) + (reml ? std::log(XX.determinant()) : 0) + S(P, P) -
         Xy1.dot(XX.inverse() * Xy1) + n * std::log(2 * M_PI);
}

}  // namespace

TEST(bivariate_criterion_is_the_dense_one) {
  const Example e;
  const Index q = e.K.rows();
  const Matrix I = Matrix::Identity(q, q);
  Matrix V(2 * q, 2 * q);
  V << 1.2 * e.K + 0.5 * I, -0.4 * e.K + 0.2 * I, -0.4 * e.K + 0.2 * I,
      0.7 * e.K + 0.9 * I;
  for (bool reml : {true, false}) {
    const double wanted = dense_value(V, e.joint.Xy, reml);
    for (bool eigenbasis : {true, false}) {
      const Moments moments = e.moments(eigenbasis, inside, Order::value);
      const Evaluation at = joint_criterion(moments, 2 * q, reml, Order::value);
      CHECK_NEAR(at.value, wanted, 1e-10);
    }
  }
}

TEST(bivariate_derivatives_are_those_of_differences) {
  Example e;
  for (int missing = 0; missing < 2; ++missing) {
    if (missing == 1) {
      // rows 3 and 4 without the first trait, the last without the second
      e.joint.rows[0].erase(e.joint.rows[0].begin() + 3, e.joint.rows[0].begin() + 5);
      e.joint.rows[1].pop_back();
      Matrix Xy(57, 5);
      Xy << e.joint.Xy.topRows(3), e.joint.Xy.middleRows(5, 54);
      e.joint.Xy = Xy;
    }
    for (bool eigenbasis : {true, false}) {
      if (eigenbasis && missing == 1) continue;
      const Index n = missing == 1 ? 57 : 60;
      for (bool reml : {true, false}) {
        const auto evaluate = [&](const Vector& psi) {
          return joint_criterion(e.moments(eigenbasis, psi, Order::exact), n, reml,
                                 Order::exact);
        };
        const Evaluation at = evaluate(inside);
        for (Index c = 0; c < 6; ++c) {
          const Vector h = 1e-5 * Vector::Unit(6, c);
          const Evaluation up = evaluate(inside + h), down = evaluate(inside - h);
          CHECK_NEAR(at.gradient[c], (up.value - down.value) / 2e-5, 1e-6);
          const Vector slope = (up.gradient - down.gradient) / 2e-5;
          CHECK_NEAR((at.hessian.col(c) - slope).cwiseAbs().maxCoeff(), 0, 1e-5);
        }
      }
    }
  }
}

TEST(bivariate_average_information_is_that_of_the_exact_moments) {
  const Example e;
  const Moments exact = e.moments(true, inside, Order::exact);
  const Moments average = e.moments(false, inside, Order::average);
  const Evaluation hessian = joint_criterion(exact, 60, true, Order::exact);
  // the Hessian is twice the average less the expected information
  const Matrix wanted = (hessian.hessian + joint_expected(exact, true)) / 2;
  CHECK_NEAR((average.average - wanted).cwiseAbs().maxCoeff(), 0, 1e-9);
}

TEST(bivariate_reml_is_free_of_what_is_added_in_the_span_of_X) {
  Example e;
  const auto at = [&] {
    return joint_criterion(e.moments(false, inside, Order::exact), 60, true,
                           Order::exact);
  };
  const Evaluation plain = at();
  e.joint.lift = 0.7;
  const Evaluation lifted = at();
  CHECK_NEAR(lifted.value, plain.value, 1e-9);
  CHECK_NEAR((lifted.gradient - plain.gradient).cwiseAbs().maxCoeff(), 0, 1e-9);
  CHECK_NEAR((lifted.hessian - plain.hessian).cwiseAbs().maxCoeff(), 0, 1e-8);
}

TEST(bivariate_optimum_holds_on_the_boundary_too) {
  Example e;
  JointSettings settings;
  const std::vector<Vector> starts = {psi_of({1, 0, 1, 1, 0, 1})};
  const Matrix free = Matrix::Identity(6, 6);
  for (bool eigenbasis : {true, false}) {
    settings.order = eigenbasis ? Order::exact : Order::average;
    const auto moments = [&](const Vector& psi, Order order) {
      return e.moments(eigenbasis, psi, order);
    };
    const JointOptimum fit = joint_optimise(moments, 60, free, settings, starts);
    CHECK(fit.converged);
    CHECK_NEAR(fit.at.gradient.cwiseAbs().maxCoeff(), 0, 1e-6);
    // no element of theta can lower it
    for (Index c = 0; c < 6; ++c) {
      for (double h : {-1e-2, 1e-2}) {
        const Vector theta = fit.theta + h * Vector::Unit(6, c);
        const Vector psi = Covariance({2, 2}).psi(theta);
        const Moments there = moments(psi, Order::value);
        CHECK(joint_criterion(there, 60, true, Order::value).value > fit.at.value - 1e-9);
      }
    }
    // a correlation of zero
    Matrix M = Matrix::Zero(6, 5);
    M(0, 0) = M(2, 1) = M(3, 2) = M(4, 3) = M(5, 4) = 1;
    const JointOptimum held = joint_optimise(moments, 60, M, settings, starts);
    CHECK_NEAR(held.psi[1], 0, 0);
    CHECK(held.at.value >= fit.at.value);
  }
}

TEST(bivariate_value_is_infinite_where_there_is_no_density) {
  const Example e;
  const Vector flat = psi_of({1, 1, 1, 1, 1, 1});
  for (bool eigenbasis : {true, false}) {
    const Evaluation at = joint_criterion(e.moments(eigenbasis, flat, Order::exact), 60,
                                          true, Order::exact);
    CHECK(std::isinf(at.value));
  }
}
