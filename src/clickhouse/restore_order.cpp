#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "clickhouse/schema.hpp"
#include "clickhouse/sql.hpp"

namespace lifeboat::clickhouse {
namespace {

using Needs = std::map<TableRef, std::set<TableRef>>;

// Tables of the graph that a definition names as database.table, in its text or in a literal (as
// dictGet does). ClickHouse prints definitions with databases.
std::set<TableRef> mentioned(const SchemaGraph& graph, const Table& table) {
  std::set<TableRef> found;
  auto add = [&](TableRef ref) {
    if (ref != table.ref && graph.find(ref) != nullptr) found.insert(std::move(ref));
  };
  const auto tokens = tokenize(table.create_query, to_string(table.ref));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].type == Token::Type::literal) {
      auto dot = tokens[i].text.find('.');
      if (dot != std::string::npos) {
        add({tokens[i].text.substr(0, dot), tokens[i].text.substr(dot + 1)});
      }
    } else if (i + 2 < tokens.size() && tokens[i].type == Token::Type::word &&
               tokens[i + 1].is_symbol('.') && tokens[i + 2].type == Token::Type::word) {
      add({tokens[i].text, tokens[i + 2].text});
    }
  }
  return found;
}

const MaterializedView* find_view(const SchemaGraph& graph, const TableRef& ref) {
  auto found = std::ranges::find(graph.views, ref, &MaterializedView::ref);
  return found == graph.views.end() ? nullptr : &*found;
}

bool holds_inner_rows(const SchemaGraph& graph, const TableRef& ref) {
  const auto* view = find_view(graph, ref);
  return view != nullptr && view->inner_target && !view->refreshable;
}

bool hides_secret(const Table& table) {
  return table.create_query.find("[HIDDEN]") != std::string::npos;
}

// Depth first: what is needed comes out before what needs it.
class Sorter {
 public:
  explicit Sorter(const Needs& needs) : needs_(needs) {}

  std::vector<TableRef> sorted(const std::vector<TableRef>& refs) {
    wanted_ = std::set<TableRef>(refs.begin(), refs.end());
    for (const auto& ref : refs) visit(ref);
    return std::move(out_);
  }

 private:
  void visit(const TableRef& ref) {
    if (done_.contains(ref)) return;
    if (!open_.insert(ref).second) {
      throw Error(Code::unsupported, to_string(ref),
                  "its definition depends on itself in a circle");
    }
    if (auto needs = needs_.find(ref); needs != needs_.end()) {
      for (const auto& need : needs->second) visit(need);
    }
    open_.erase(ref);
    done_.insert(ref);
    if (wanted_.contains(ref)) out_.push_back(ref);
  }

  const Needs& needs_;
  std::set<TableRef> wanted_, open_, done_;
  std::vector<TableRef> out_;
};

// What a definition needs, whatever its kind. Materialized views are left out: they are created
// with sources that may not stand yet, and only pushing decides their order.
Needs definition_needs(const SchemaGraph& graph) {
  Needs needs;
  for (const auto& table : graph.tables) {
    auto& of = needs[table.ref];
    if (table.kind == Kind::materialized_view || table.kind == Kind::inner) continue;
    for (const auto& need : table.loading_dependencies) {
      if (graph.find(need) != nullptr) of.insert(need);
    }
    of.merge(mentioned(graph, table));
    // A dictionary reads its source when it is used, not when it is created.
    if (table.kind == Kind::dictionary) of.clear();
  }
  return needs;
}

// A view needs all views that its target pushes into.
Needs push_needs(const SchemaGraph& graph) {
  Needs needs;
  for (const auto& feeder : graph.views) {
    for (const auto& fed : graph.views) {
      if (fed.source == feeder.target) needs[feeder.ref].insert(fed.ref);
      // A view may also be the source by its own name: its inner table is meant then.
      if (fed.source == feeder.ref) needs[feeder.ref].insert(fed.ref);
    }
  }
  return needs;
}

std::vector<TableRef> of_kind(const SchemaGraph& graph, Kind kind) {
  std::vector<TableRef> refs;
  for (const auto& table : graph.tables) {
    if (table.kind == kind) refs.push_back(table.ref);
  }
  return refs;
}

// Definitions that a table with rows needs before it can be created.
std::set<TableRef> needed_by_data(const Needs& needs, const std::vector<TableRef>& data) {
  std::set<TableRef> needed;
  std::function<void(const TableRef&)> follow = [&](const TableRef& ref) {
    auto found = needs.find(ref);
    if (found == needs.end()) return;
    for (const auto& need : found->second) {
      if (needed.insert(need).second) follow(need);
    }
  };
  for (const auto& ref : data) follow(ref);
  for (const auto& ref : data) needed.erase(ref);
  return needed;
}

}  // namespace

std::vector<TableRef> data_tables(const SchemaGraph& graph) {
  std::vector<TableRef> refs, views;
  for (const auto& table : graph.tables) {
    if (holds_inner_rows(graph, table.ref)) {
      views.push_back(table.ref);
    } else if (table.kind == Kind::data ||
               (hides_secret(table) && table.kind != Kind::kafka &&
                table.kind != Kind::materialized_view && table.kind != Kind::inner)) {
      refs.push_back(table.ref);
    }
  }
  refs.insert(refs.end(), views.begin(), views.end());
  return refs;
}

std::vector<TableRef> distributed_tables(const SchemaGraph& graph) {
  return of_kind(graph, Kind::distributed);
}

std::vector<TableRef> kafka_table_refs(const SchemaGraph& graph) {
  return of_kind(graph, Kind::kafka);
}

std::vector<std::string> consumer_groups(const SchemaGraph& graph) {
  std::set<std::string> groups;
  for (const auto& kafka : graph.kafka_tables) {
    if (kafka.unsupported.empty()) groups.insert(kafka.group);
  }
  return {groups.begin(), groups.end()};
}

std::vector<std::string> topics_of(const SchemaGraph& graph, const std::string& group) {
  std::set<std::string> topics;
  for (const auto& kafka : graph.kafka_tables) {
    if (kafka.group == group) topics.insert(kafka.topics.begin(), kafka.topics.end());
  }
  return {topics.begin(), topics.end()};
}

RestoreOrder restore_order(const SchemaGraph& graph) {
  const Needs needs = definition_needs(graph);
  RestoreOrder order;
  order.data = Sorter(needs).sorted(data_tables(graph));
  std::ranges::stable_partition(order.data, [&](const TableRef& ref) {
    return !holds_inner_rows(graph, ref);  // views with rows of their own after all tables
  });
  const std::set<TableRef> restored(order.data.begin(), order.data.end());
  const auto first = needed_by_data(needs, order.data);
  std::vector<TableRef> before, after, views;
  for (const auto& table : graph.tables) {
    if (restored.contains(table.ref) || table.kind == Kind::inner || table.kind == Kind::kafka) {
      continue;
    }
    if (table.kind == Kind::materialized_view) {
      views.push_back(table.ref);
    } else {
      (first.contains(table.ref) ? before : after).push_back(table.ref);
    }
  }
  order.first = Sorter(needs).sorted(before);
  order.definitions = Sorter(needs).sorted(after);
  order.views = Sorter(push_needs(graph)).sorted(views);
  order.kafka = kafka_table_refs(graph);
  return order;
}

}  // namespace lifeboat::clickhouse
