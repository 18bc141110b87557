# find_package(edgeweave) gives the targets edgeweave::edgeweave (shared) and edgeweave::static.
get_filename_component(_edgeweave_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_package(Threads REQUIRED)

if(NOT TARGET edgeweave::edgeweave)
  add_library(edgeweave::edgeweave SHARED IMPORTED)
  set_target_properties(edgeweave::edgeweave PROPERTIES
    IMPORTED_LOCATION "${_edgeweave_prefix}/lib/libedgeweave.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_edgeweave_prefix}/include")

  add_library(edgeweave::static STATIC IMPORTED)
  set_target_properties(edgeweave::static PROPERTIES
    IMPORTED_LOCATION "${_edgeweave_prefix}/lib/libedgeweave.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_edgeweave_prefix}/include"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;m;${CMAKE_DL_LIBS}")
endif()
unset(_edgeweave_prefix)
