#include "pedigree.h"

using namespace kinlmm;

// Inbreeding coefficients; the first to see a loop.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_ped_inbreeding(Rcpp::IntegerVector sire, Rcpp::IntegerVector dam,
                              int threads, SEXP progress) {
  return glue::guarded([&] {
    const Pedigree pedigree = glue::as_pedigree(sire, dam);
    glue::RMonitor monitor(progress);
    const Vector F = inbreeding(pedigree, pedigree_order(pedigree), threads, monitor);
    return Rcpp::List::create(Rcpp::_["inbreeding"] = glue::wrap_vector(F));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_ped_relationship(Rcpp::IntegerVector sire, Rcpp::IntegerVector dam) {
  return glue::guarded([&] {
    const Pedigree pedigree = glue::as_pedigree(sire, dam);
    const int n = static_cast<int>(pedigree.size());
    const auto order = pedigree_order(pedigree);
    Rcpp::NumericMatrix A(Rcpp::no_init(n, n));
    Eigen::Map<Matrix> out(A.begin(), n, n);
    numerator_relationship(pedigree, order, out);
    return Rcpp::List::create(Rcpp::_["A"] = A);
  });
}

// The block of A of the animals `rows` (0-based).
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_ped_block(Rcpp::IntegerVector sire, Rcpp::IntegerVector dam,
                         std::vector<int> rows, int threads, SEXP progress) {
  return glue::guarded([&] {
    const Pedigree pedigree = glue::as_pedigree(sire, dam);
    const auto order = pedigree_order(pedigree);
    glue::RMonitor quiet(R_NilValue);
    const Vector F = inbreeding(pedigree, order, threads, quiet);
    const Vector D = mendelian_variances(pedigree, F);
    const int m = static_cast<int>(rows.size());
    Rcpp::NumericMatrix A(Rcpp::no_init(m, m));
    Eigen::Map<Matrix> out(A.begin(), m, m);
    glue::RMonitor monitor(progress);
    relationship_block(pedigree, order, D, rows, threads, monitor, out);
    return Rcpp::List::create(Rcpp::_["A"] = A);
  });
}

// Dominance relationship from A (n x n).
// [[Rcpp::export(rng = false)]]
Rcpp::NumericMatrix cpp_ped_dominance(Rcpp::IntegerVector sire, Rcpp::IntegerVector dam,
                                      Rcpp::NumericMatrix A) {
  const int n = A.nrow();
  Rcpp::NumericMatrix D(Rcpp::no_init(n, n));
  Eigen::Map<Matrix> out(D.begin(), n, n);
  dominance_relationship(glue::as_pedigree(sire, dam), glue::map(A), out);
  return D;
}

// The upper triangle of the inverse in the form of a dgCMatrix.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_ped_inverse(Rcpp::IntegerVector sire, Rcpp::IntegerVector dam, int threads,
                           SEXP progress) {
  return glue::guarded([&] {
    const Pedigree pedigree = glue::as_pedigree(sire, dam);
    glue::RMonitor monitor(progress);
    const Vector F = inbreeding(pedigree, pedigree_order(pedigree), threads, monitor);
    const SparseUpper Q =
        inverse_relationship(pedigree, mendelian_variances(pedigree, F));
    return Rcpp::List::create(Rcpp::_["p"] = Q.start, Rcpp::_["i"] = Q.row,
                              Rcpp::_["x"] = Q.value,
                              Rcpp::_["F"] = glue::wrap_vector(F));
  });
}

// Values of covariance A (by column) from standard normal ones, z (n x t).
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_ped_drop(Rcpp::IntegerVector sire, Rcpp::IntegerVector dam,
                        Rcpp::NumericMatrix z, int threads) {
  return glue::guarded([&] {
    const Pedigree pedigree = glue::as_pedigree(sire, dam);
    const auto order = pedigree_order(pedigree);
    glue::RMonitor quiet(R_NilValue);
    const Vector F = inbreeding(pedigree, order, threads, quiet);
    Matrix u = mendelian_variances(pedigree, F).cwiseSqrt().asDiagonal() * glue::map(z);
    drop_values(pedigree, order, u);
    return Rcpp::List::create(Rcpp::_["u"] = glue::wrap_matrix(u));
  });
}
