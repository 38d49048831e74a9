"""Queries of TPC-H (validation values put in, views as WITH) and their column edges, labelled by hand.

A label is `output: kind source, ...` a line. Kinds: I identity, T transformation, A aggregation; J join, G group by,
F filter, S sort, W window, C conditional. Several letters: the column is used in several ways. `*` are the rows.
"""

from typing import NamedTuple


class Labelled(NamedTuple):
    """A query and its edges."""

    name: str
    sql: str
    edges: str


TABLES = {
    "customer": "c_custkey c_name c_address c_nationkey c_phone c_acctbal c_mktsegment c_comment",
    "orders": "o_orderkey o_custkey o_orderstatus o_totalprice o_orderdate o_orderpriority o_clerk o_comment",
    "lineitem": "l_orderkey l_partkey l_suppkey l_linenumber l_quantity l_extendedprice l_discount l_tax l_returnflag "
    "l_linestatus l_shipdate l_commitdate l_receiptdate l_shipinstruct l_shipmode l_comment",
    "part": "p_partkey p_name p_mfgr p_brand p_type p_size p_container p_retailprice p_comment",
    "supplier": "s_suppkey s_name s_address s_nationkey s_phone s_acctbal s_comment",
    "nation": "n_nationkey n_name n_regionkey n_comment",
}

Q1 = Labelled(
    "tpch 1",
    """select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty, sum(l_extendedprice) as sum_base_price,
    sum(l_extendedprice * (1 - l_discount)) as sum_disc_price,
    sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as sum_charge, avg(l_quantity) as avg_qty,
    avg(l_extendedprice) as avg_price, avg(l_discount) as avg_disc, count(*) as count_order
    from lineitem where l_shipdate <= date '1998-12-01' - interval '90' day
    group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus""",
    """l_returnflag: I lineitem.l_returnflag
    l_linestatus: I lineitem.l_linestatus
    sum_qty: A lineitem.l_quantity
    sum_base_price: A lineitem.l_extendedprice
    sum_disc_price: A lineitem.l_extendedprice, A lineitem.l_discount
    sum_charge: A lineitem.l_extendedprice, A lineitem.l_discount, A lineitem.l_tax
    avg_qty: A lineitem.l_quantity
    avg_price: A lineitem.l_extendedprice
    avg_disc: A lineitem.l_discount
    *: F lineitem.l_shipdate, GS lineitem.l_returnflag, GS lineitem.l_linestatus""",
)
Q3 = Labelled(
    "tpch 3",
    """select l_orderkey, sum(l_extendedprice * (1 - l_discount)) as revenue, o_orderdate, o_clerk
    from customer, orders, lineitem
    where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and l_orderkey = o_orderkey
      and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15'
    group by l_orderkey, o_orderdate, o_clerk order by revenue desc, o_orderdate limit 10""",
    """l_orderkey: I lineitem.l_orderkey
    revenue: A lineitem.l_extendedprice, A lineitem.l_discount
    o_orderdate: I orders.o_orderdate
    o_clerk: I orders.o_clerk
    *: F customer.c_mktsegment, F customer.c_custkey, F orders.o_custkey, FG lineitem.l_orderkey, F orders.o_orderkey,
     FGS orders.o_orderdate, F lineitem.l_shipdate, G orders.o_clerk, S lineitem.l_extendedprice,
     S lineitem.l_discount""",
)
Q4 = Labelled(
    "tpch 4",
    """select o_orderpriority, count(*) as order_count from orders
    where o_orderdate >= date '1993-07-01' and o_orderdate < date '1993-07-01' + interval '3' month
      and exists (select * from lineitem where l_orderkey = o_orderkey and l_commitdate < l_receiptdate)
    group by o_orderpriority order by o_orderpriority""",
    """o_orderpriority: I orders.o_orderpriority
    *: F orders.o_orderdate, F lineitem.l_orderkey, F orders.o_orderkey, F lineitem.l_commitdate,
     F lineitem.l_receiptdate, GS orders.o_orderpriority""",
)
Q6 = Labelled(
    "tpch 6",
    """select sum(l_extendedprice * l_discount) as revenue from lineitem
    where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'
      and l_discount between 0.05 and 0.07 and l_quantity < 24""",
    """revenue: A lineitem.l_extendedprice, A lineitem.l_discount
    *: F lineitem.l_shipdate, F lineitem.l_discount, F lineitem.l_quantity""",
)
Q12 = Labelled(
    "tpch 12",
    """select l_shipmode,
    sum(case when o_orderpriority = '1-URGENT' or o_orderpriority = '2-HIGH' then 1 else 0 end) as high_line_count,
    sum(case when o_orderpriority <> '1-URGENT' and o_orderpriority <> '2-HIGH' then 1 else 0 end) as low_line_count
    from orders join lineitem on o_orderkey = l_orderkey
    where l_shipmode in ('MAIL', 'SHIP') and l_commitdate < l_receiptdate and l_shipdate < l_commitdate
    group by l_shipmode order by l_shipmode""",
    """l_shipmode: I lineitem.l_shipmode
    high_line_count: C orders.o_orderpriority
    low_line_count: C orders.o_orderpriority
    *: J orders.o_orderkey, J lineitem.l_orderkey, FGS lineitem.l_shipmode, F lineitem.l_commitdate,
     F lineitem.l_receiptdate, F lineitem.l_shipdate""",
)
Q13 = Labelled(
    "tpch 13",
    """select c_count, count(*) as custdist from (
      select c_custkey, count(o_orderkey) as c_count
      from customer left outer join orders on c_custkey = o_custkey and o_comment not like '%special%requests%'
      group by c_custkey) as c_orders
    group by c_count order by custdist desc, c_count desc""",
    """c_count: A orders.o_orderkey
    *: JG customer.c_custkey, J orders.o_custkey, J orders.o_comment, GS orders.o_orderkey""",
)
Q14 = Labelled(
    "tpch 14",
    """select 100.00 * sum(case when p_type like 'PROMO%' then l_extendedprice * (1 - l_discount) else 0 end)
      / sum(l_extendedprice * (1 - l_discount)) as promo_revenue
    from lineitem, part where l_partkey = p_partkey and l_shipdate >= date '1995-09-01'""",
    """promo_revenue: C part.p_type, A lineitem.l_extendedprice, A lineitem.l_discount
    *: F lineitem.l_partkey, F part.p_partkey, F lineitem.l_shipdate""",
)
Q15 = Labelled(
    "tpch 15",
    """with revenue (supplier_no, total_revenue) as (
      select l_suppkey, sum(l_extendedprice * (1 - l_discount)) from lineitem
      where l_shipdate >= date '1996-01-01' group by l_suppkey)
    select s_suppkey, s_name, s_phone, total_revenue from supplier, revenue
    where s_suppkey = supplier_no and total_revenue = (select max(total_revenue) from revenue) order by s_suppkey""",
    """s_suppkey: I supplier.s_suppkey
    s_name: I supplier.s_name
    s_phone: I supplier.s_phone
    total_revenue: A lineitem.l_extendedprice, A lineitem.l_discount
    *: F lineitem.l_shipdate, FG lineitem.l_suppkey, FS supplier.s_suppkey, F lineitem.l_extendedprice,
     F lineitem.l_discount""",
)
Q17 = Labelled(
    "tpch 17",
    """select sum(l_extendedprice) / 7.0 as avg_yearly from lineitem, part
    where p_partkey = l_partkey and p_brand = 'Brand#23' and p_container = 'MED BOX'
      and l_quantity < (select 0.2 * avg(l.l_quantity) from lineitem as l where l.l_partkey = p_partkey)""",
    """avg_yearly: A lineitem.l_extendedprice
    *: F part.p_partkey, F lineitem.l_partkey, F part.p_brand, F part.p_container, F lineitem.l_quantity""",
)
Q18 = Labelled(
    "tpch 18",
    """select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) as quantity
    from customer, orders, lineitem
    where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having sum(l_quantity) > 300)
      and c_custkey = o_custkey and o_orderkey = l_orderkey
    group by c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice order by o_totalprice desc, o_orderdate""",
    """c_name: I customer.c_name
    c_custkey: I customer.c_custkey
    o_orderkey: I orders.o_orderkey
    o_orderdate: I orders.o_orderdate
    o_totalprice: I orders.o_totalprice
    quantity: A lineitem.l_quantity
    *: FG orders.o_orderkey, F lineitem.l_orderkey, F lineitem.l_quantity, FG customer.c_custkey, F orders.o_custkey,
     G customer.c_name, GS orders.o_orderdate, GS orders.o_totalprice""",
)
Q22 = Labelled(
    "tpch 22",
    """select cntrycode, count(*) as numcust, sum(c_acctbal) as totacctbal from (
      select substring(c_phone from 1 for 2) as cntrycode, c_acctbal from customer
      where substring(c_phone from 1 for 2) in ('13', '31')
        and c_acctbal > (select avg(c_acctbal) from customer where c_acctbal > 0.00)
        and not exists (select * from orders where o_custkey = c_custkey)) as custsale
    group by cntrycode order by cntrycode""",
    """cntrycode: T customer.c_phone
    totacctbal: A customer.c_acctbal
    *: FGS customer.c_phone, F customer.c_acctbal, F orders.o_custkey, F customer.c_custkey""",
)
QUERIES = (Q1, Q3, Q4, Q6, Q12, Q13, Q14, Q15, Q17, Q18, Q22)
