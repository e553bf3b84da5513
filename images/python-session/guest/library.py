"""The part of the standard library that scripts can import.

The component has no files: a module can be imported in a session only if it was imported here, when the
component was built. Left out is what needs files, sockets, threads, processes or a terminal.
"""

# ruff: noqa: F401
import __future__
import abc
import array
import ast
import base64
import binascii
import bisect
import calendar
import cmath
import codecs
import collections
import collections.abc
import colorsys
import contextlib
import contextvars
import copy
import copyreg
import csv
import dataclasses
import datetime
import decimal
import difflib
import enum
import fractions
import functools
import graphlib
import hashlib
import heapq
import hmac
import html
import html.parser
import inspect
import io
import itertools
import json
import keyword
import linecache
import locale
import logging
import math
import numbers
import operator
import pickle
import pprint
import pydoc
import random
import re
import reprlib
import secrets
import statistics
import string
import struct
import sys
import textwrap
import time
import timeit
import tokenize
import traceback
import types
import typing
import unicodedata
import unittest
import urllib.parse
import uuid
import warnings
import weakref
import xml.etree.ElementTree
import zlib
import zoneinfo
