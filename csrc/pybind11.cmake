# Looks for Python and pybind11, whose headers are copied into the build folder: pip builds in an environment of its own,
# with pybind11 at another path every time, and a second build would compile again all that includes them.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
if(NOT pybind11_DIR)
  execute_process(COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
                  OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
find_package(pybind11 CONFIG REQUIRED)

set(copied "${CMAKE_CURRENT_BINARY_DIR}/include")
file(GLOB_RECURSE headers RELATIVE "${pybind11_INCLUDE_DIR}" "${pybind11_INCLUDE_DIR}/pybind11/*.h")
foreach(header IN LISTS headers)
  get_filename_component(folder "${copied}/${header}" DIRECTORY)
  file(MAKE_DIRECTORY "${folder}")
  file(COPY_FILE "${pybind11_INCLUDE_DIR}/${header}" "${copied}/${header}" ONLY_IF_DIFFERENT)
endforeach()
set_target_properties(pybind11::pybind11_headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${copied}"
                                                            INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${copied}")
