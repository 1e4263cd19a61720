#include "core/relatives.h"
#include "glue.h"

using namespace kinlmm;

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_summarise_pairs(SEXP K, Rcpp::NumericVector limits) {
  const PairSummary found = summarise_pairs(glue::read_matrix(K), glue::map(limits));
  return Rcpp::List::create(
      Rcpp::_["smallest"] = found.smallest, Rcpp::_["largest"] = found.largest,
      Rcpp::_["mean"] = found.mean,
      Rcpp::_["reaching"] =
          Rcpp::NumericVector(found.reaching.begin(), found.reaching.end()));
}

// Places from 1.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_find_relatives(SEXP K, double threshold) {
  const Relatives found = find_relatives(glue::read_matrix(K), threshold);
  Rcpp::IntegerVector row = Rcpp::wrap(found.row), column = Rcpp::wrap(found.column);
  return Rcpp::List::create(Rcpp::_["row"] = row + 1, Rcpp::_["column"] = column + 1,
                            Rcpp::_["value"] = found.value);
}

// Places and families from 1.
// [[Rcpp::export(rng = false)]]
Rcpp::IntegerVector cpp_find_families(int n, Rcpp::IntegerVector row,
                                      Rcpp::IntegerVector column) {
  const Rcpp::IntegerVector i = row - 1, j = column - 1;
  Rcpp::IntegerVector family = Rcpp::wrap(find_families(
      n, std::vector<int>(i.begin(), i.end()), std::vector<int>(j.begin(), j.end())));
  return family + 1;
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_pair_distances(SEXP K) {
  const R_xlen_t n = Rf_nrows(K);
  Rcpp::NumericVector out(Rcpp::no_init(n * (n - 1) / 2));
  pair_distances(glue::read_matrix(K), out.begin());
  return out;
}

// order: places from 1.
// [[Rcpp::export(rng = false)]]
Rcpp::NumericMatrix cpp_cell_means(SEXP K, Rcpp::IntegerVector order, int cells) {
  const Rcpp::IntegerVector places = order - 1;
  return glue::wrap_matrix(cell_means(
      glue::read_matrix(K), std::vector<int>(places.begin(), places.end()), cells));
}
