# lifeboat_room(NAME DEPENDS rooms... LIBS libraries...)
# One static library per room, made of all .cpp files of its folder.
function(lifeboat_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  list(TRANSFORM ROOM_DEPENDS PREPEND lifeboat_)
  add_library(lifeboat_${name} STATIC ${sources})
  target_include_directories(lifeboat_${name} PUBLIC "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(lifeboat_${name} PUBLIC ${ROOM_DEPENDS} ${ROOM_LIBS}
                        PRIVATE lifeboat_warnings)
endfunction()
