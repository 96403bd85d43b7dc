"""Industries of sites, by the reference's numbers."""

from __future__ import annotations

from collections.abc import Mapping

INDUSTRIES: Mapping[int, str] = {
    1: "Automotive and transportation",
    2: "Business and services",
    3: "Food and beverages",
    4: "Animals and pets",
    5: "Law and government",
    6: "Internet and telecommunications",
    7: "Computers and electronics",
    8: "Beauty and fitness",
    9: "Healthcare",
    10: "Real estate",
    11: "Accommodation and hotels",
    12: "Industry and manufacturing",
    13: "Travel and tourism",
    14: "Sports",
    15: "Construction and renovation",
    16: "Education",
    17: "Finance",
    18: "Hobbies and entertainment",
    19: "E-commerce and retail",
}
